"""Toolsets made of toolsets: names, order, filters, sizes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import hypothesis
import hypothesis.strategies as st
import pytest

from mcp_llm.errors import StoreError
from mcp_llm.toolsets.base import Tool, Tools
from mcp_llm.toolsets.compose import Group, offered
from mcp_llm.toolsets.results import MOST_BYTES, fit
from mcp_llm.types.chat import ToolSpec
from mcp_llm.types.message import Media, Text, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class Echo:
    """Answers with who was asked for what."""

    def __init__(self, owner: str, *names: str) -> None:
        self.owner, self.names = owner, names

    async def list(self) -> Tools:
        return [Tool(ToolSpec(name=name), server=self.owner) for name in self.names]

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        call_id: str = "",
        meta: dict[str, Any] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> ToolResult:
        return ToolResult(call_id, name, (Text(f"{self.owner}:{name}:{arguments}"),))


async def test_a_group_prefixes_sorts_and_routes() -> None:
    group = Group({"b": Echo("b", "z", "a"), "": Echo("own", "plan"), "a": Echo("a", "z")})
    assert [tool.name for tool in await group.list()] == ["plan", "b__a", "b__z", "a__z"]
    assert await group.call("a__z", {"n": 1}, call_id="c") == ToolResult("c", "a__z", (Text("a:z:{'n': 1}"),))
    assert (await group.call("plan", {})).text == "own:plan:{}"
    tool = await group.tool("b__z")
    assert tool is not None
    assert (tool.name, tool.server) == ("b__z", "b")


async def test_a_name_that_nobody_has_is_told_with_near_ones() -> None:
    group = Group({"files": Echo("files", "read", "write")}, errors={"time": "The server 'time' is not available."})
    assert (await group.call("files__raed", {})).text == (
        "There is no tool 'files__raed'. Did you mean files__read or files__write?"
    )
    assert (await group.call("time__now", {})).text == (
        "There is no tool 'time__now'. The server 'time' is not available."
    )


@pytest.mark.parametrize(
    ("server", "asked"),
    [("my.server", "my_server__now"), ("2nd", "_2nd__now"), ("a__b", "a__b__now"), ("x" * 70, f"{'x' * 57}_0123ab")],
)
async def test_why_a_server_is_missing_is_told_whatever_its_name_is(server: str, asked: str) -> None:
    group = Group({}, errors={"a": "It is another one.", server: "It is not available.", "my": "Neither."})
    assert (await group.call(asked, {})).text == f"There is no tool '{asked}'. It is not available."


class Broken(Echo):
    """A toolset that raises where none should, until it is mended."""

    mended = False

    async def list(self) -> Tools:
        if not self.mended:
            raise ZeroDivisionError("a bug")
        return await super().list()

    async def call(self, name: str, arguments: dict[str, Any], **more: Any) -> ToolResult:
        raise ZeroDivisionError("another bug")


async def test_a_toolset_that_raises_costs_its_own_tools_only() -> None:
    broken = Broken("broken", "x")
    group = Group({"broken": broken, "b": Echo("b", "z")})
    assert [tool.name for tool in await group.list()] == ["b__z"]
    assert (await group.call("broken__x", {})).text == (
        "There is no tool 'broken__x'. The tools of 'broken' cannot be listed (ZeroDivisionError: a bug)."
    )
    broken.mended = True
    assert [tool.name for tool in await group.list()] == ["broken__x", "b__z"]
    assert group.errors == {}
    said = "broken__x failed: ZeroDivisionError: another bug"
    assert await group.call("broken__x", {}, call_id="c") == ToolResult("c", "broken__x", (Text(said),), is_error=True)


async def test_our_own_names_cannot_be_taken() -> None:
    group = Group({"run": Echo("bad", "agent"), "": Echo("own", "run__agent")})
    names = [tool.name for tool in await group.list()]
    assert names[0] == "run__agent"
    assert (await group.call("run__agent", {})).text == "own:run__agent:{}"
    assert (await group.call(names[1], {})).text == "bad:agent:{}"


@hypothesis.given(
    st.lists(st.text(max_size=80), min_size=1, max_size=6, unique=True),
    st.lists(st.text(max_size=80), min_size=1, max_size=3, unique=True),
)
def test_whatever_servers_call_their_tools_names_are_plain_unique_and_stable(
    names: list[str], servers: list[str]
) -> None:
    pairs = [(server, name) for server in servers if server for name in names if name]
    found = [offered(*pair) for pair in pairs]
    assert all(PLAIN.fullmatch(name) for name in found)
    assert found == [offered(*pair) for pair in pairs]
    changed = [
        name for name, (server, tool) in zip(found, pairs, strict=True) if not re.fullmatch("[A-Za-z0-9_-]+", tool)
    ]
    assert len(changed) == len(set(changed))


@pytest.mark.parametrize("letter", ["x", "é", "€", "\U0001f600"])
@pytest.mark.parametrize("size", [MOST_BYTES - 1, MOST_BYTES, MOST_BYTES + 1, 3 * MOST_BYTES])
async def test_a_result_keeps_to_its_size_and_the_rest_to_its_handle(letter: str, size: int) -> None:
    kept: list[tuple[str, str]] = []

    async def overflow(call_id: str, text: str) -> str:
        kept.append((call_id, text))
        return "handle 7"

    text = letter * (size // len(letter.encode()))
    whole = ToolResult("c", "t", (Text(text[: len(text) // 2]), Text(text[len(text) // 2 :])), is_error=True)
    cut = await fit(whole, overflow)
    if len(text.encode()) <= MOST_BYTES:
        assert (cut, kept) == (whole, [])
        return
    assert kept == [("c", text)]
    assert len(cut.text.encode()) <= MOST_BYTES
    assert cut.text.endswith("KiB are shown; the rest: handle 7]")
    assert text.startswith(cut.text.partition("\n[cut")[0])
    assert (cut.id, cut.name, cut.is_error) == ("c", "t", True)
    assert "was not kept" in (await fit(whole)).text


@pytest.mark.parametrize(
    ("error", "why"),
    [(StoreError("the disk is full"), "the disk is full"), (OSError(28, "No space left", "/secret/path"), "OSError")],
)
async def test_a_result_whose_rest_cannot_be_kept_is_there_all_the_same(error: Exception, why: str) -> None:
    async def overflow(call_id: str, text: str) -> str:
        raise error

    text = "x" * (2 * MOST_BYTES)
    cut = await fit(ToolResult("c", "t", (Text(text),)), overflow)
    assert cut.text.startswith("x" * (MOST_BYTES - 1024))
    assert cut.text.endswith(f"KiB are shown; the rest could not be kept ({why}); ask for a smaller part]")
    assert len(cut.text.encode()) <= MOST_BYTES
    assert not cut.is_error


async def test_media_beyond_the_cap_are_left_out() -> None:
    big = Media("image/png", data="A" * (12 * 1024 * 1024))
    cut = await fit(ToolResult("c", "t", (Text("see"), big, big)))
    assert cut.parts[:2] == (Text("see"), big)
    assert cut.text == "see\n[1 media left out: a result may hold 20 MiB]"
