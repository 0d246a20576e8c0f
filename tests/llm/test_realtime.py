"""Conversations over a real socket to a scripted vendor: turns, tools, interruption, money, and what can go wrong."""

from __future__ import annotations

import base64
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from faults.asking import CANARY, Asking, rows

from mcp_llm.errors import (
    AuthError,
    Disconnected,
    Error,
    InvalidInput,
    ProviderError,
    Timeout,
    TooLarge,
    Unsupported,
)
from mcp_llm.talking import realtime
from mcp_llm.types.realtime import Interrupted, SoundOut, TurnEnd, Wanted, Words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

server = pytest.importorskip("websockets.asyncio.server", reason="the extra `realtime` is not installed")
pytestmark = pytest.mark.anyio
PRICE = "[models.m]\nkind = 'realtime'\nprice = { input = 1.0, output = 10.0, source = 'x', checked = 2026-11-01 }\n"
OPENAI = '[wires]\nchat = "openai"\nrealtime = "openai"\n'
GEMINI = '[wires]\nchat = "gemini"\nrealtime = "gemini"\n'
SOUND = base64.b64encode(b"\x01\x00" * 50).decode()


@dataclass
class Vendor:
    """Answers each frame with what `script` gives for it; `seen` has the frames, `headers` and `path` the handshake."""

    script: Callable[[Any], list[Any]]
    seen: list[Any] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    path: str = ""
    url: str = ""

    async def talk(self, socket: Any) -> None:
        self.headers = {name.lower(): value for name, value in socket.request.headers.raw_items()}
        self.path = socket.request.path
        async for data in socket:
            frame = json.loads(data)
            self.seen.append(frame)
            for answer in self.script(frame):
                if answer is CLOSE:
                    await socket.close(1011, "our mistake")
                    return
                await socket.send(answer if isinstance(answer, str | bytes) else json.dumps(answer))


CLOSE = object()


@asynccontextmanager
async def vendor(script: Callable[[Any], list[Any]], **how: Any) -> AsyncIterator[Vendor]:
    found = Vendor(script)
    async with server.serve(found.talk, "127.0.0.1", 0, **how) as listening:
        found.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        yield found


def openai(frame: Any, **special: list[Any]) -> list[Any]:
    """A vendor that says `Good day` with a sound, for 30 tokens in and 20 out."""
    kind = frame["type"]
    if kind in special:
        return special[kind]
    if kind == "session.update":
        return [{"type": "session.created"}, {"type": "session.updated"}]
    if kind == "response.create":
        return [
            {"type": "response.created"},
            {"type": "response.output_audio_transcript.delta", "delta": "Good "},
            {"type": "response.output_audio.delta", "delta": SOUND},
            {"type": "response.output_audio_transcript.delta", "delta": "day"},
            done(),
        ]
    return []


def done(**more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 30, "output_tokens": 20}
    return {
        "type": "response.done",
        "response": {"id": "r", "status": "completed", "usage": usage, "output": [], **more},
    }


async def test_words_and_sound_go_in_and_come_out(asking: Asking) -> None:
    heard = {"type": "conversation.item.input_audio_transcription.completed", "transcript": "and you?"}
    async with vendor(lambda frame: openai(frame, **{"input_audio_buffer.commit": [heard]})) as there:
        asking.provider("gate", there.url, PRICE + OPENAI)
        async with asking.open() as service:
            with anyio.fail_after(30):
                async with realtime("gate:m", instructions="Be brief.", listen=False, service=service) as session:
                    await session.say("hello")
                    first = await session.turn()
                    await session.hear(b"\x01\x00" * 10)
                    await session.hear(b"\x02\x00" * 10)
                    await session.over()
                    second = await session.turn()
            told = await service.runs.store.query("SELECT operation, input, output, usd FROM ledger")
    assert (first.text, first.sound, first.rate, first.stop) == ("Good day", b"\x01\x00" * 50, 24_000, "stop")
    assert (second.heard, second.text) == ("and you?", "Good day")
    assert session.transcript == [
        ("user", "hello"),
        ("assistant", "Good day"),
        ("user", "and you?"),
        ("assistant", "Good day"),
    ]
    assert (session.usage.input, session.usage.output) == (60, 40)
    assert session.usd == pytest.approx(2 * 230e-6)
    assert [row[:3] for row in told] == [("realtime", 30, 20)] * 2
    assert there.path == "/v1/realtime?model=m"
    assert there.headers["authorization"] == f"Bearer {CANARY}"
    assert [frame["type"] for frame in there.seen[3:6]] == [
        "input_audio_buffer.append",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
    ]


async def test_tools_are_called_meanwhile_and_the_model_goes_on(asking: Asking) -> None:
    wanted = [{"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 2, "b": 3}'}]
    wanted.append({"type": "function_call", "call_id": "c2", "name": "add", "arguments": '{"a": "x"}'})

    def script(frame: Any) -> list[Any]:
        if frame["type"] == "conversation.item.create" and frame["item"]["type"] == "message":
            return [{"type": "response.created"}, done(output=wanted)]
        if frame["type"] == "response.create" and len(there.seen) < 4:
            return []
        return openai(frame)

    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    async with vendor(script) as there:
        asking.provider("gate", there.url, OPENAI)
        async with asking.open() as service:
            with anyio.fail_after(30):
                async with realtime("gate:m", functions=[add], service=service) as session:
                    await session.say("add them")
                    turn = await session.turn()
    assert turn.text == "Good day"
    outputs = {
        frame["item"]["call_id"]: frame["item"]["output"]
        for frame in there.seen
        if frame.get("item", {}).get("type") == "function_call_output"
    }
    assert outputs["c1"] == "5"
    assert "do not fit its parameters" in outputs["c2"]


async def test_a_tool_that_has_to_be_asked_for_is_not_called_without_a_yes(asking: Asking) -> None:
    from mcp_llm.toolsets.functions import Function

    called: list[str] = []
    wipe = Function(lambda: called.append("x"), name="wipe", description="Wipe.", destructive=True, approval="ask")
    wanted = [{"type": "function_call", "call_id": "c1", "name": "wipe", "arguments": "{}"}]

    def script(frame: Any) -> list[Any]:
        if frame["type"] == "conversation.item.create" and frame["item"]["type"] == "message":
            return [done(output=wanted)]
        return [] if frame["type"] == "response.create" and len(there.seen) < 4 else openai(frame)

    asked: list[str] = []

    async def yes(tool: str, _: dict[str, Any]) -> bool:
        asked.append(tool)
        return True

    async with vendor(script) as there:
        asking.provider("gate", there.url, OPENAI)
        async with asking.open() as service:
            for approve in (None, yes):
                there.seen.clear()
                with anyio.fail_after(30):
                    async with realtime("gate:m", functions=[wipe], approve=approve, service=service) as session:
                        await session.say("wipe it")
                        await session.turn()
    assert (called, asked) == (["x"], ["wipe"])


async def test_whoever_talks_interrupts(asking: Asking) -> None:
    endless = [
        {"type": "response.created"},
        {"type": "response.output_audio.delta", "delta": SOUND},
    ]
    stopped = [
        {"type": "response.done", "response": {"status": "cancelled", "usage": {"input_tokens": 1, "output_tokens": 1}}}
    ]
    special: dict[str, list[Any]] = {"response.create": endless, "response.cancel": stopped}
    special["input_audio_buffer.append"] = [{"type": "input_audio_buffer.speech_started"}]
    async with vendor(lambda frame: openai(frame, **special)) as there:
        asking.provider("gate", there.url, OPENAI)
        async with asking.open() as service:
            with anyio.fail_after(30):
                async with realtime("gate:m", service=service) as session:
                    await session.say("talk for ever")
                    assert isinstance(await anext(session), SoundOut)
                    await session.hear(b"\x00\x00")
                    assert isinstance(await anext(session), Interrupted)
                    await session.interrupt()
                    end = await anext(session)
    assert isinstance(end, TurnEnd)
    assert end.stop == "cancelled"


async def test_google_is_talked_with_alike(asking: Asking) -> None:
    def script(frame: Any) -> list[Any]:
        if "setup" in frame:
            return [json.dumps({"setupComplete": {}}).encode()]
        if "clientContent" in frame:
            call = {"id": "c1", "name": "now", "args": {}}
            return [{"toolCall": {"functionCalls": [call]}}]
        if "toolResponse" in frame:
            said = frame["toolResponse"]["functionResponses"][0]["response"]["output"]
            return [
                {"serverContent": {"outputTranscription": {"text": f"It is {said}"}}},
                {"usageMetadata": {"promptTokenCount": 9, "responseTokenCount": 5}},
                {"serverContent": {"turnComplete": True}},
            ]
        return []

    def now() -> str:
        """The time."""
        return "noon"

    async with vendor(script) as there:
        asking.provider("gate", there.url, GEMINI)
        async with asking.open() as service:
            with anyio.fail_after(30):
                async with realtime("gate:m", functions=[now], service=service) as session:
                    await session.say("what time is it?")
                    events = []
                    async for event in session:
                        events.append(event)
                        if isinstance(event, TurnEnd):
                            break
    assert [type(event) for event in events] == [Wanted, Words, TurnEnd]
    assert session.transcript[-1] == ("assistant", "It is noon")
    assert (session.usage.input, session.usage.output, session.usd) == (9, 5, None)
    assert session.rate_in == 16_000


@pytest.mark.parametrize(
    ("special", "kind", "words"),
    [
        ({"response.create": [CLOSE]}, Disconnected, "closed the session (1011: our mistake)"),
        ({"response.create": ["no json"]}, ProviderError, "sent a frame that is no JSON"),
        ({"response.create": [{"type": "response.output_audio.delta"}]}, ProviderError, "shape the wire does not have"),
        (
            {"response.create": [{"type": "error", "error": {"code": "session_expired", "message": "late"}}]},
            ProviderError,
            "late",
        ),
        ({"response.create": [{"type": "x", "pad": "y" * 5000}]}, TooLarge, "over the cap"),
    ],
)
async def test_what_ends_a_session_is_told_to_whoever_listens(
    asking: Asking, special: dict[str, list[Any]], kind: type[Error], words: str
) -> None:
    async with vendor(lambda frame: openai(frame, **special)) as there:
        asking.provider("gate", there.url, OPENAI + "[quirks.realtime]\nmax_frame = 4096\n")
        async with asking.open() as service:
            with anyio.fail_after(30):
                async with realtime("gate:m", service=service) as session:
                    await session.say("hi")
                    with pytest.raises(kind) as caught:
                        await session.turn()
            outcomes = await rows(service)
    assert words in str(caught.value)
    assert CANARY not in str(caught.value)
    assert outcomes == [("gate", caught.value.kind)]  # something was said, and may be on the bill


async def test_a_session_ends_when_its_time_is_over(asking: Asking) -> None:
    async with vendor(lambda frame: openai(frame, **{"response.create": []})) as there:
        asking.provider("gate", there.url, OPENAI)
        async with asking.open() as service:
            with anyio.fail_after(30):
                async with realtime("gate:m", timeout_s=0.3, service=service) as session:
                    await session.say("hi")
                    with pytest.raises(Timeout, match=r"0\.3 s at most"):
                        await session.turn()


async def test_a_door_that_is_shut_is_told_and_no_redirect_is_followed(asking: Asking) -> None:
    def refuse(status: int, **headers: str) -> Any:
        async def answer(connection: Any, request: Any) -> Any:
            response = connection.respond(status, '{"error": {"message": "no entry"}}')
            for name, value in headers.items():
                response.headers[name] = value
            return response

        return answer

    async with vendor(openai) as elsewhere:
        for status, headers, kind in (
            (401, {}, AuthError),
            (404, {}, ProviderError),
            (302, {"Location": elsewhere.url.replace("http", "ws") + "/realtime"}, Error),
        ):
            async with vendor(openai, process_request=refuse(status, **headers)) as there:
                asking.provider("gate", there.url, OPENAI)
                async with asking.open() as service:
                    with anyio.fail_after(30), pytest.raises(kind) as caught:
                        async with realtime("gate:m", service=service):
                            pass
                assert CANARY not in str(caught.value)
    assert elsewhere.path == ""


async def test_what_cannot_be_begun_is_told(asking: Asking) -> None:
    async with asking.open() as service:
        with pytest.raises(Unsupported):
            async with realtime("anthropic:claude-opus-5-5", service=service):
                pass
        with pytest.raises(InvalidInput, match="timeout_s"):
            realtime("demo", timeout_s=0)
        with anyio.fail_after(30):
            async with realtime("demo", service=service) as session:
                with pytest.raises(InvalidInput, match="empty"):
                    await session.say("  ")
                with pytest.raises(InvalidInput, match="16 bits"):
                    await session.hear(b"x")


async def test_without_a_key_the_demo_talks(asking: Asking) -> None:
    async with asking.open() as service:
        with anyio.fail_after(30):
            async with realtime(service=service) as session:
                await session.say("Good morning")
                turn = await session.turn()
    assert turn.text.endswith("It was told: Good morning ")
    assert (len(turn.sound), turn.rate) == (9600, 24_000)


async def test_a_key_that_is_refused_is_named_and_not_quoted(asking: Asking) -> None:
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    words = json.dumps({"error": {"message": f"Incorrect API key provided: {CANARY}"}}).encode()
    reply = Response(401, "no", Headers([("content-length", str(len(words)))]), words)
    async with vendor(openai, process_request=lambda *_: reply) as there:
        asking.provider("gate", there.url, OPENAI)
        async with asking.open() as service:
            with anyio.fail_after(30), pytest.raises(AuthError, match="The key is GATE_API_KEY") as caught:
                async with realtime("gate:m", service=service):
                    pass
    assert CANARY not in str(caught.value) + repr(vars(caught.value))
    assert (caught.value.provider, caught.value.model) == ("gate", "m")
