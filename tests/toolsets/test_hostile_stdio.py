"""Children over stdio that do what they should not: what it costs, what the model is told, and that others go on."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_llm.toolsets.lines import MOST_LINE
from mcp_llm.toolsets.listing import MOST_PAGES, MOST_TOOLS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
STALL = 0.25
GROWTH = 64 * MIB


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("ok", "worked 1"),
        ("garbage", "worked 1"),
        ("badutf8", "caf\ufffd"),
        ("notifflood", "worked 1"),
        ("progressflood", "worked 1"),
        ("askflood", "worked 1"),
        ("stderrflood", "worked 1"),
        ("wrongid", "right"),
        ("schema-redos", 'done\n{"a":"' + "a" * 40 + '!"}'),
        ("schema-anyof", 'done\n{"a":5}'),
        ("schema-selfref", 'done\n{"a":"' + "a" * 40 + '!"}'),
    ],
)
async def test_an_answer_arrives_through_the_noise(
    mode: str, words: str, child: Callable[..., Any], opened: Callable[..., Any], meter: Callable[[], Any]
) -> None:
    lines: list[str] = []
    async with meter() as cost, opened(child(mode)) as group:
        assert group.errors == {}
        with anyio.fail_after(60):
            result = await group.call("s__work", {}, call_id="c", progress=lines.append)
    assert (result.id, result.text, result.is_error) == ("c", words, False)
    assert cost.stall < STALL
    assert cost.growth < GROWTH
    assert len(lines) <= 200
    assert set(lines) <= {"still there"}


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("endless", f"more than {MOST_LINE // MIB} MiB"),
        ("values", "too many values"),
        ("crash", "exit code 3.\nIt last wrote:\nabout to crash"),
        ("closes", "it closed its output"),
        ("noresult", "neither a result nor an error"),
        ("badresult", "no MCP result"),
        ("error", "work failed: no way"),
    ],
)
async def test_a_failure_is_a_result_that_names_its_cause(
    mode: str, told: str, child: Callable[..., Any], opened: Callable[..., Any], meter: Callable[[], Any]
) -> None:
    async with meter() as cost, opened(child(mode)) as group:
        with anyio.fail_after(60):
            result = await group.call("s__work", {})
    assert result.is_error
    assert told in result.text
    assert "\x1b" not in result.text
    assert cost.stall < STALL
    assert cost.growth < GROWTH


async def test_a_child_that_never_answers_costs_its_deadline(
    child: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    async def ask(mode: str) -> None:
        async with opened(child(mode, call_timeout_s=0.5)) as group:
            started = time.monotonic()
            result = await group.call("s__work", {})
            assert time.monotonic() - started < 2
        assert result.is_error
        assert "did not answer within 0.5 s" in result.text

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "hang")
        tasks.start_soon(ask, "slowdrip")


async def test_nothing_a_child_says_reaches_our_output(
    child: Callable[..., Any], opened: Callable[..., Any], web: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    for server in (child("stderrflood"), child("badresult"), child("wrongid"), web("truncated"), web("html")):
        async with opened(server) as group:
            await group.call("s__work", {})
    assert capfd.readouterr() == ("", "")


async def test_a_child_that_ends_at_once_is_named_with_its_last_words(
    child: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    started = time.monotonic()
    async with opened(child("exit")) as group:
        assert time.monotonic() - started < 3
        said = group.errors["s"].splitlines()
        assert await group.list() == []
        result = await group.call("s__work", {})
    assert said[0] == "The server 's' is not available: it ended with exit code 7."
    assert said[2:] == [*(f"line {n}" for n in range(81, 100)), "no database"]
    assert result.is_error
    assert "exit code 7" in result.text


async def test_a_child_that_hangs_at_its_start_is_given_up_and_killed(
    child: Callable[..., Any], opened: Callable[..., Any], children: Callable[[], set[int]]
) -> None:
    started = time.monotonic()
    async with opened(child("hanginit", start_timeout_s=0.5)) as group:
        assert time.monotonic() - started < 4
        assert group.errors == {"s": "The server 's' is not available: it did not start within 0.5 s."}
        assert children() == set()


async def test_an_endless_line_at_the_start_does_not_fill_memory(
    child: Callable[..., Any], opened: Callable[..., Any], meter: Callable[[], Any]
) -> None:
    async with meter() as cost, opened(child("endless-start")) as group:
        assert "more than 16 MiB" in group.errors["s"]
    assert cost.growth < GROWTH
    assert cost.stall < STALL


async def test_a_big_answer_is_cut_and_the_rest_kept_by_handle(
    child: Callable[..., Any], opened: Callable[..., Any], meter: Callable[[], Any]
) -> None:
    kept: dict[str, int] = {}

    async def overflow(call_id: str, text: str) -> str:
        kept[call_id] = len(text)
        return "read it with more(1)"

    async with meter() as cost, opened(child("huge", str(10 * MIB)), overflow=overflow) as group:
        result = await group.call("s__work", {}, call_id="big")
    assert kept == {"big": 10 * MIB}
    assert len(result.text.encode()) <= 256 * 1024
    assert result.text.startswith("0123456789abcdef")
    assert result.text.endswith("10240 KiB are shown; the rest: read it with more(1)]")
    assert cost.stall < STALL
    assert cost.growth < GROWTH


async def test_many_blocks_are_cut(
    child: Callable[..., Any], opened: Callable[..., Any], meter: Callable[[], Any]
) -> None:
    async with meter() as cost, opened(child("blocks")) as group:
        result = await group.call("s__work", {})
    assert result.text.endswith("[49000 further blocks were left out]")
    assert cost.stall < STALL


async def test_ten_thousand_tools_are_capped_with_a_note(
    child: Callable[..., Any], opened: Callable[..., Any], meter: Callable[[], Any]
) -> None:
    async with meter() as cost, opened(child("tools10k")) as group:
        tools = await group.list()
        notes = [*group.notes.get("s", ())]
    assert len(tools) == MOST_TOOLS
    assert notes == ["10000 tools are listed; the first 512 are used."]
    assert cost.stall < STALL
    assert cost.growth < GROWTH


async def test_endless_pages_end(child: Callable[..., Any], opened: Callable[..., Any]) -> None:
    async with opened(child("pages")) as group:
        assert len(await group.list()) == MOST_PAGES
        assert [*group.notes.get("s", ())] == ["It has more tools than are read (512, on at most 20 pages)."]
    async with opened(child("circle")) as group:
        assert [tool.name for tool in await group.list()] == ["s__work"]
        assert "runs in a circle" in group.notes["s"][0]


async def test_odd_schemas_cost_only_their_tool(child: Callable[..., Any], opened: Callable[..., Any]) -> None:
    async with opened(child("schema-odd")) as group:
        assert group.errors == {}
        assert [tool.name for tool in await group.list()] == ["s__work"]
        notes = [*group.notes.get("s", ())]
        assert not (await group.call("s__work", {})).is_error
    assert len(notes) == 10


async def test_a_schema_that_points_elsewhere_is_not_followed(
    child: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        async with opened(child("schema-remoteref", url)) as group:
            assert [tool.name for tool in await group.list()] == ["s__work"]
            assert (await group.call("s__far", {})).is_error
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_odd_names_become_plain_and_unique(child: Callable[..., Any], opened: Callable[..., Any]) -> None:
    async with opened(child("names")) as group:
        tools = await group.list()
        names = [tool.name for tool in tools]
        for name in names:
            assert not (await group.call(name, {})).is_error
    assert len(names) == len(set(names)) == 8
    assert all(0 < len(name) <= 64 and name.replace("-", "_").replace("_", "a").isalnum() for name in names)
    assert all(name.isascii() for name in names)
    assert {"s__work", "s__a_b"} <= set(names)


async def test_hidden_words_are_not_shown(child: Callable[..., Any], opened: Callable[..., Any]) -> None:
    async with opened(child("hidden")) as group:
        [tool] = await group.list()
        remote = group.members["s"]
    assert tool.spec.description.startswith("Works.zzz")
    assert len(tool.spec.description.encode()) == 4096
    assert tool.title == "Title 2"
    assert tool.spec.parameters["properties"]["a"]["description"] == "say it"
    assert remote.instructions == "Use with care."


async def test_what_json_cannot_say_is_replaced(child: Callable[..., Any], opened: Callable[..., Any]) -> None:
    async with opened(child("surrogates")) as group:
        result = await group.call("s__work", {})
    assert not result.is_error
    assert result.text.startswith("a\ufffdb\n")
    json.dumps(result.text).encode()


async def test_a_server_that_asks_gets_nothing(child: Callable[..., Any], opened: Callable[..., Any]) -> None:
    async with opened(child("asks")) as group:
        said = json.loads((await group.call("s__work", {})).text)
    assert said == {
        "q-sampling/createMessage": -32601,
        "q-roots/list": -32601,
        "q-elicitation/create": {"action": "decline"},
        "q-ping": {},
        "q-odd/method": -32601,
    }


async def test_a_child_knows_only_what_it_is_given(
    child: Callable[..., Any], opened: Callable[..., Any], tmp_path: Path
) -> None:
    server = child("environment", env={"TOKEN": "${OPENAI_API_KEY}", "PLAIN": "1", "OTHER": "${NOT_SET:-x}"})
    async with opened(server) as group:
        known = json.loads((await group.call("s__work", {})).text)
    known.pop("LC_CTYPE", None)  # Python's own, under LANG=C
    assert set(known) == {"PATH", "HOME", "LANG", "TOKEN", "PLAIN", "OTHER"}
    assert (known["TOKEN"], known["OTHER"]) == ("***", "x")  # what it was given does not come back
    async with opened(child("folder", cwd=str(tmp_path))) as group:
        assert (await group.call("s__work", {})).text == str(tmp_path)


async def test_arguments_reach_the_command_as_they_are(child: Callable[..., Any], opened: Callable[..., Any]) -> None:
    odd = "$(touch x); `id` && 'a\\n' -- *"
    async with opened(child("arguments", odd)) as group:
        assert json.loads((await group.call("s__work", {})).text) == ["arguments", odd]


async def test_a_cancelled_call_is_cancelled_at_the_server(
    child: Callable[..., Any], opened: Callable[..., Any], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    async with opened(child("waits", str(told))) as group:
        with anyio.move_on_after(0.2) as scope:
            await group.call("s__work", {})
        assert scope.cancelled_caught
        assert not (await group.call("s__work", {})).is_error
    assert told.read_text(encoding="utf-8") == "notifications/cancelled"


async def test_cancelling_the_run_ends_its_servers_at_once(
    child: Callable[..., Any], opened: Callable[..., Any], children: Callable[[], set[int]]
) -> None:
    started = time.monotonic()
    with anyio.move_on_after(0.3) as scope:
        async with opened(child("ignoreeof")) as group:
            await group.call("s__work", {})
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert time.monotonic() - started < 4
    assert children() == set()


async def test_meta_travels_with_the_call(child: Callable[..., Any], opened: Callable[..., Any]) -> None:
    async with opened(child("meta")) as group:
        result = await group.call("s__work", {}, meta={"mcp-llm/run": "r1"})
    told = json.loads(result.text)
    told.pop("traceparent", None)  # where a test before this one has set a tracer, which is for good
    assert told == {"mcp-llm/run": "r1"}


async def test_a_server_comes_back_three_times(child: Callable[..., Any], opened: Callable[..., Any]) -> None:
    async with opened(child("crash")) as group:
        told = [(await group.call("s__work", {})).text for _ in range(5)]
        tools = await group.list()
    assert ["about to crash" in text and "may have taken effect" in text for text in told] == [True] * 4 + [False]
    assert "is not available" in told[4]
    assert tools == []


async def test_who_leaves_does_not_wait_for_a_server_that_hangs_at_its_next_start(
    child: Callable[..., Any], opened: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "marks").touch()
    server = child("hang-again", str(tmp_path / "marks"), start_timeout_s=300, call_timeout_s=2)
    with anyio.fail_after(60):
        async with opened(server) as group:
            told = [(await group.call("s__work", {})).text for _ in range(2)]
    assert ["did not answer within" in text for text in told] == [False, True]


async def test_only_what_may_be_repeated_is(
    child: Callable[..., Any], opened: Callable[..., Any], tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    async with opened(child("crash-once", str(marks))) as group:
        result = await group.call("s__read", {})
        assert (result.text, result.is_error) == ("worked 1", False)
    assert marks.read_text(encoding="utf-8").split() == ["read", "read"]
    marks.unlink()
    async with opened(child("crash-once", str(marks))) as group:
        assert (await group.call("s__work", {})).is_error
        assert not (await group.call("s__work", {})).is_error
    assert marks.read_text(encoding="utf-8").split() == ["work", "work"]


async def test_a_bad_server_costs_only_its_tools(child: Callable[..., Any]) -> None:
    from mcp_llm.settings import Server
    from mcp_llm.toolsets.connect import open_servers

    servers = {
        "good": child("ok"),
        "late": child("hanginit", start_timeout_s=0.6),
        "gone": Server(command="no-such-command-at-all"),
        "unset": child("ok", env={"A": "${NOT_SET}"}),
        "off": child("ok", disabled=True),
        "closed": Server(url="http://127.0.0.1:9/mcp"),
    }
    started = time.monotonic()
    async with open_servers(servers, servers, {"PATH": "/usr/bin"}.get) as group:
        assert time.monotonic() - started < 5
        assert [tool.name for tool in await group.list()] == ["good__read", "good__work"]
        assert not (await group.call("good__work", {})).is_error
        assert (await group.call("gone__work", {})).text.endswith(group.errors["gone"])
    assert list(group.errors) == ["late", "gone", "unset", "off", "closed"]
    assert "set the variable NOT_SET" in group.errors["unset"]
    assert "cannot be reached" in group.errors["closed"]


async def test_an_error_of_the_caller_comes_out_as_it_is(child: Callable[..., Any], opened: Callable[..., Any]) -> None:
    with pytest.raises(ZeroDivisionError):
        async with opened(child("ok")):
            raise ZeroDivisionError
