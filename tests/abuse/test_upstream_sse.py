"""What a stream may do, line by line of the corpus: cuts, pings, endings, broken events, calls in pieces."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from abuse.corpus import case
from abuse.upstream import OK, play
from agent.scripted import do
from faults.asking import ask, rows
from faults.replies import SSE, ok, sse
from faults.server import FaultServer, Reply

from mcp_llm.agent.task import Task
from mcp_llm.errors import Disconnected, Error, Garbled, ProviderError, Timeout
from mcp_llm.http.deadlines import Clock, Deadlines
from mcp_llm.toolsets.functions import Functions
from mcp_llm.types.chat import Fold
from mcp_llm.wires import chat
from mcp_llm.wires.reply import Reply as Decoding

if TYPE_CHECKING:
    from faults.asking import Asking

    from mcp_llm.app import App

pytestmark = pytest.mark.anyio

WIRES = ["openai", "anthropic", "gemini", "responses", "ollama"]
TEXT = "Hello there"


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return sse([{"id": "1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}])


WORDS = {"text": event({"content": "Once upon"}), "ok": event({"content": "Once upon"}), "[DONE]": b"data: [DONE]\n\n"}


def stream(*parts: bytes, **more: Any) -> Reply:
    return Reply(headers=SSE, body=b"".join(parts), **{"framing": "chunked", **more})


def written(name: str) -> Reply:
    """The stream that a line describes event by event."""
    words = [word for word in case(name).fault["stream"] if word != "close"]
    return stream(*(WORDS.get(word, f"{word}\n\n".encode()) for word in words), framing="close")


def call(arguments: str, **more: Any) -> dict[str, Any]:
    """A piece of a tool call; the first one has `id` and `name`."""
    function = {"arguments": arguments, **({"name": more.pop("name")} if "name" in more else {})}
    return {"tool_calls": [{"index": 0, "function": function, **more}]}


# Cuts


@pytest.mark.parametrize("whole", [False, True], ids=["stream", "whole"])
@pytest.mark.parametrize("wire", WIRES)
def test_ups_001_a_reply_cut_at_any_byte_is_its_beginning_or_all_of_it_and_never_garbled(
    wire: str, whole: bool
) -> None:
    """As the body of a reply that ends there without a word, which is the worst: no framing tells that more was due."""
    assert case("UPS-001").fault == {"cut": "every byte"}
    module = chat.wire(wire)
    data = ok(wire, stream=not whole).body
    outcomes = set()
    for end in range(1, len(data) + 1):
        decoding, fold = Decoding(module, module.Quirks()), Fold()
        try:
            for chunk in itertools.chain(decoding.feed(data[:end]), decoding.close()):
                fold.add(chunk)
        except Disconnected:
            assert TEXT.startswith(fold.text())
            outcomes.add("cut")
        else:
            assert (fold.text(), fold.response().stop) == (TEXT, "stop"), data[:end]
            outcomes.add("whole")
    assert outcomes == {"cut", "whole"}


async def outcome(service: Any, model: str) -> tuple[str, type[Error] | None]:
    """The words that came of a call, and the error that it ended with."""
    try:
        return (await ask(service, model)).response, None
    except ProviderError as error:
        return error.partial or "", type(error)


@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_ups_001_a_call_whose_stream_is_cut_at_any_byte_tells_what_had_come(asking: Asking, framing: Any) -> None:
    """`close`: the end of the connection is the end of the body; `chunked`: the last chunk never comes."""
    ends = range(0 if framing == "chunked" else 1, len(OK.body) + 1)
    cuts = [
        Reply(headers=SSE, body=OK.body[:end], framing=framing, reset=end if framing == "chunked" else None)
        for end in ends
    ]
    hours = itertools.count()
    with FaultServer(cuts) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(retries={"attempts": 1}) as service:
            service.llm.breakers.clock = lambda: next(hours) * 3600.0  # it is not what is tried here
            for _ in ends:
                told, kind = await outcome(service, model)
                assert TEXT.startswith(told)
                assert kind in {None, Disconnected}
                assert kind is not None or told == TEXT
            found = await rows(service)
    assert len(server.requests) == len(found) == len(cuts)
    assert {kind for _, kind in found} == {"disconnected", "ok"}


# Pings

PINGS = {
    "comments": b": ping\n\n",
    "Anthropic's": b'event: ping\ndata: {"type": "ping"}\n\n',
    "without a name": b'data: {"type":"ping"}\n\n',
    "blank lines": b"\n",
    "empty events": b"data:\n\nevent: x\n\n",
    "nulls": b"data: null\n\n",
    "half a comment": b": ",
}


@pytest.mark.parametrize("words", [b"", WORDS["text"]], ids=["no word", "after a word"])
@pytest.mark.parametrize("ping", PINGS.values(), ids=PINGS)
async def test_ups_004_pings_alone_end_at_the_limit_for_data(asking: Asking, ping: bytes, words: bytes) -> None:
    """Not at sixty seconds as the corpus has it: a model may think for minutes behind pings, and what it thought is
    paid for. `timeouts.data` is half of `timeouts.total` by default, so that somebody else can still be asked.
    """
    assert case("UPS-004").fault == {"stream": ": ping every 0.2 s for ever"}
    times = {"connect": 5, "first_byte": 5, "idle": 5, "total": 9, "data": 0.3}
    said = stream(words, forever=ping, every=0.02)
    played = await play(asking, [said], fails=True, timeouts=times)
    error = played.failed(Timeout)
    assert "nothing but pings came within 0.3 s (data deadline; it is set as `timeouts.data`)" in str(error)
    assert error.partial == ("Once upon" if words else None)
    assert played.rows == [("acme", "timeout")]  # it may be running, and be billed: not asked again
    if not words:
        assert (await play(asking, [said], backup=True, timeouts=times)).succeeded().provider == "backup"


async def test_ups_004_a_provider_may_have_a_limit_of_its_own(asking: Asking) -> None:
    said = stream(forever=PINGS["comments"], every=0.02)
    played = await play(asking, [said], fails=True, extra="[timeouts]\ndata = 0.2\n")
    assert "within 0.2 s (data deadline" in str(played.failed(Timeout))


def test_ups_004_what_belongs_to_the_answer_is_told_from_what_keeps_the_connection_awake() -> None:
    module = chat.wire("openai")
    decoding = Decoding(module, module.Quirks())

    def moved(data: bytes) -> bool:
        decoding.feed(data)
        return decoding.moved

    assert [moved(ping) for name, ping in PINGS.items() if name != "half a comment"] == [False] * 6
    assert moved(WORDS["text"])
    assert not moved(b": still ")
    assert not moved(b"here\n\n")
    # An event that takes its time is data with every byte of it: a picture, say, over a slow line.
    assert [moved(bytes([byte])) for byte in WORDS["text"]] == [True] * len(WORDS["text"])
    assert not moved(b": ping\n\n")
    body = Decoding(module, module.Quirks())
    body.feed(b"   \n\n")  # while a whole reply is waited for, blanks are the pings
    assert not body.moved
    body.feed(b'{"choices":')
    assert body.moved


def test_ups_004_only_data_moves_its_limit_and_nothing_the_others() -> None:
    clock = Clock(Deadlines(idle=60, data=300, total=10**6))
    clock.answered()
    now = clock.started
    clock.heard(now)
    limits = [clock.until(now + past) - now for past in (0, 100, 239, 241, 299)]
    assert limits == pytest.approx([60, 160, 299, 300, 300])
    assert [clock.over(now + past) for past in (299, 301)] == [False, True]
    clock.heard(now + 299)
    assert (clock.over(now + 301), clock.over(now + 600)) == (False, True)
    assert Clock(Deadlines(data=0)).over(now) is False  # who reads bodies whole has no such limit


# Endings


async def test_ups_008_a_stream_that_ends_without_saying_so_is_no_success(asking: Asking) -> None:
    played = await play(asking, [written("UPS-008")], fails=True, backup=True)
    error = played.failed(Disconnected)
    assert (error.partial, error.may_retry, played.requests, played.backup) == ("Once upon", False, 1, 0)


async def test_ups_009_what_is_said_after_the_end_is_ignored(asking: Asking) -> None:
    played = await play(asking, [written("UPS-009")])
    assert (played.succeeded().response, played.rows) == ("Once upon", [("acme", "ok")])


# Events that are broken, calls in pieces


async def test_ups_010_a_broken_event_among_good_ones_is_garbled_and_its_place_told(asking: Asking) -> None:
    played = await play(asking, [written("UPS-010"), OK], fails=True, backup=True)
    error = played.failed(Garbled)
    assert "event 2 of the reply is no JSON (from its character 14 on): '{\"choices\":[{'" in str(error)
    assert (error.partial, played.requests, played.backup) == ("Once upon", 1, 0)


async def test_ups_010_half_a_call_around_a_broken_event_is_not_made(asking: Asking) -> None:
    broken = case("UPS-010").fault["stream"][1].encode() + b"\n\n"
    begun, rest = call('{"path": "/tmp/', id="c1", name="remove"), call('x"}')
    said = stream(event(begun), broken, event(rest), event({}, "tool_calls"), WORDS["[DONE]"])
    made: list[str] = []

    def remove(path: str) -> None:
        made.append(path)

    with FaultServer([said, OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            with pytest.raises(Garbled):
                await do(cast("App", service), Task(prompt="go", model=model), toolsets=[Functions([remove])])
    assert (made, len(server.requests)) == ([], 1)


PAIR = "\U0001f600"
SPLIT = {
    "escape of the arguments": [call('{"face": "\\ud83d'), call('\\ude00 "}')],
    "escape of the event": [call('{"face": "\ud83d'), call('\ude00 "}')],
    "inside the escape": [call('{"face": "\\ud8'), call("3d\\u"), call('de00 "}')],
    "between bytes": [call('{"face": "'), call(PAIR), call(' "}')],
}


@pytest.mark.parametrize("piece", [None, 1, 7], ids=["at once", "byte by byte", "by seven"])
@pytest.mark.parametrize("pieces", SPLIT.values(), ids=SPLIT)
async def test_ups_011_arguments_split_anywhere_are_joined(
    asking: Asking, pieces: list[dict[str, Any]], piece: int | None
) -> None:
    assert case("UPS-011").fault == {"split": "inside escapes and code points"}
    events = [event(call("", id="c1", name="paint")), *map(event, pieces), event({}, "tool_calls"), WORDS["[DONE]"]]
    body = b"".join(events)
    if pieces is SPLIT["between bytes"]:
        body = body.replace(json.dumps(PAIR).strip('"').encode(), PAIR.encode())
        assert PAIR.encode() in body
    played = await play(asking, [stream(body, piece=piece)])
    (made,) = played.succeeded().tool_calls or ()
    assert (made.name, made.arguments) == ("paint", {"face": f"{PAIR} "})


async def test_ups_013_a_call_cut_off_by_the_token_limit_is_not_made_and_the_model_is_told(asking: Asking) -> None:
    assert case("UPS-013").fault == {"finish": "length inside arguments"}
    begun = call('{"path": "/tmp', id="c1", name="remove")
    made: list[str] = []

    def remove(path: str) -> None:
        made.append(path)

    with FaultServer([stream(event(begun), event({}, "length"), WORDS["[DONE]"]), OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            result = await do(cast("App", service), Task(prompt="go", model=model), toolsets=[Functions([remove])])
    assert (made, result.response, len(server.requests)) == ([], TEXT, 2)
    told = json.loads(server.requests[1].body)["messages"][-1]
    assert (told["role"], told["tool_call_id"]) == ("tool", "c1")
    assert "cut off" in told["content"]


async def test_ups_013_whoever_asked_for_calls_gets_the_piece_as_text_and_the_reason(asking: Asking) -> None:
    begun = call('{"path": "/tmp', id="c1", name="remove")
    answer = (await play(asking, [stream(event(begun), event({}, "length"), WORDS["[DONE]"])])).succeeded()
    assert answer.finish_reason == "length"
    assert [(one.name, one.arguments) for one in answer.tool_calls or ()] == [("remove", '{"path": "/tmp')]
