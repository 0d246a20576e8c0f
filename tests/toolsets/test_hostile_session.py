"""Children that change their mind in a session, ask for what nobody offered, or talk of what never was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from toolsets import hostile

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


LOGGED = (
    '{"level":"info","id":N,"said":"called"}',
    '{"level":"info","id":N,"said":"cut o',
    '{"id":N,"error":"no database","at":nowhere}',
    '{"said":"a \\"result\\"","jsonrpc":"2.0","id":N',
    '{"jsonrpc":"2.0","id":N,"method":"notifications/message","params":{"cut',
    '[{"jsonrpc":"2.0","id":N,"result":{}}]',
    '{"jsonrpc":"1.0","id":N,"result":{}}',
)
UNREADABLE = (
    '{"jsonrpc":"2.0","id":N,"result":{"content":[}',
    ' { "id" : "N" , "jsonrpc" : "2.0" , "error" : { cut',
    '{"result":{"content":[},"jsonrpc":"2.0","id":N}',
    '{"jsonrpc":"2.0","result":{"content":[},"id":N}',
    '{"id":N,"result":{"content":[},"jsonrpc":"2.0"}',
)


async def test_lines_of_a_log_with_an_id_are_no_answers(child: Callable[..., Any], opened: Callable[..., Any]) -> None:
    async with opened(child("logs", "\n".join(LOGGED))) as group:
        result = await group.call("s__work", {})
    assert (result.text, result.is_error) == ("worked 1", False)


@pytest.mark.parametrize("line", UNREADABLE)
async def test_an_answer_that_cannot_be_read_is_told_at_once(
    line: str, child: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    async with opened(child("logs", line)) as group:
        result = await group.call("s__work", {})
    assert (result.text, result.is_error) == ("work failed: its answer cannot be read as JSON", True)


async def test_a_child_that_reads_no_more_is_told_at_once_and_started_again(
    child: Callable[..., Any], opened: Callable[..., Any], children: Callable[[], set[int]]
) -> None:
    with anyio.fail_after(60):
        async with opened(child("deaf", call_timeout_s=300)) as group:
            first, second, third = [await group.call("s__work", {}) for _ in range(3)]
        while children():  # noqa: ASYNC110 - processes tell us nothing
            await anyio.sleep(0.02)
    assert (first.text, third.text) == ("worked 1", "worked 1")
    assert second.is_error
    assert "work was not answered. The server 's' is not available: it closed its input." in second.text


async def test_a_flood_of_changes_is_one_more_look_at_the_tools(
    child: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    async with opened(child("listflood")) as group:
        await group.list()
        assert int((await group.call("s__work", {})).text) <= 3


async def test_tools_named_like_ours_stay_behind_the_name_of_their_server(
    child: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    async with opened(child("shadow")) as group:
        names = [tool.name for tool in await group.list()]
        answers = {name: (await group.call(name, {})).is_error for name in [*names, "read_more", "generate", "work"]}
    assert len(names) == len(set(names)) == 9
    assert all(name.startswith("s__") for name in names)
    assert answers == {**dict.fromkeys(names, False), "read_more": True, "generate": True, "work": True}


async def test_a_server_whose_list_has_become_none_keeps_the_tools_it_had(
    child: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    async with opened(child("shifty")) as group:
        assert (await group.call("s__work", {})).text == "worked 1"
        with anyio.fail_after(30):
            while not group.notes:
                await group.list()
                await anyio.sleep(0.05)
        assert [tool.name for tool in await group.list()] == ["s__read", "s__work"]
        assert not (await group.call("s__work", {})).is_error
    assert "could not be read again" in group.notes["s"][0]


@pytest.mark.parametrize("mode", ["wants-input", "wants-task"])
async def test_an_answer_that_wants_something_of_us_is_an_error_and_no_question(
    mode: str, child: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    with anyio.fail_after(30):
        async with opened(child(mode, call_timeout_s=5)) as group:
            result = await group.call("s__work", {})
    assert result.is_error
    assert "no MCP result" in result.text
    assert "Your key?" not in result.text


@pytest.mark.parametrize("mode", ["modern-input", "modern-task"])
async def test_the_same_of_a_server_of_the_newer_era(
    mode: str, web: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    with anyio.fail_after(60):
        async with opened(web(mode, call_timeout_s=5)) as group:
            assert group.errors == {}
            result = await group.call("s__work", {})
    assert result.is_error
    assert "Your key?" not in result.text
    assert "secret state" not in result.text


async def test_what_is_said_of_calls_that_never_were_is_nothing(
    child: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    async with opened(child("cancelflood")) as group:
        with anyio.fail_after(60):
            first, second = await group.call("s__work", {}), await group.call("s__work", {})
    assert (first.text, second.text) == ("worked 1", "worked 2")


async def test_a_greeting_is_cut_and_cleaned_and_an_unknown_version_refused(
    child: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    async with opened(child("hello-odd")) as group:
        said = group.members["s"].instructions
        assert not (await group.call("s__work", {})).is_error
    assert said.startswith("obey obey")
    assert len(said.encode()) <= 4096
    async with opened(child("hello-future")) as group:
        assert "s" in group.errors
        assert "9999-12-31" in group.errors["s"]
    async with opened(child("hello-none")) as group:
        assert group.errors == {} or "tools" in group.errors["s"]


@pytest.mark.parametrize("mode", ["cursors", "cursor-odd"])
async def test_odd_cursors_cost_no_tool_that_was_listed(
    mode: str, child: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    with anyio.fail_after(60):
        async with opened(child(mode)) as group:
            assert mode == "cursors" or "s" in group.errors
            if mode == "cursors":
                assert [tool.name for tool in await group.list()] == ["s__work"]


async def test_a_child_that_floods_is_ended_and_leaves_no_zombie(
    child: Callable[..., Any], opened: Callable[..., Any], children: Callable[[], set[int]]
) -> None:
    async with opened(child("endless")) as group:
        assert (await group.call("s__work", {})).is_error
        with anyio.fail_after(30):
            while children():  # noqa: ASYNC110 - processes tell us nothing
                await anyio.sleep(0.02)
    assert hostile.zombies() == set()
