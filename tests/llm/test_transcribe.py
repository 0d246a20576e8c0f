"""Writing down from the recording to the words: long files in pieces, streams, plain text, what it costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from faults.server import FaultServer, Reply

from mcp_llm.errors import BadRequest, BudgetExceeded, Garbled, InvalidInput, TooLarge
from mcp_llm.files import sound
from mcp_llm.llm.transcribe import transcribe
from mcp_llm.server.tools.published import told

if TYPE_CHECKING:
    from faults.asking import Asking

    from mcp_llm.app import App

pytestmark = pytest.mark.anyio

PRICED = """
[models.m]
kind = "transcribe"
price = { hour = 3.6, source = "test", checked = 2026-01-01 }
"""
RATE = 8000
SECOND = sound.wav(bytes(2 * RATE), RATE)


def said(text: str, **more: Any) -> Reply:
    return Reply(body=json.dumps({"text": text, **more}).encode())


async def test_words_come_back_and_seconds_are_paid(asking: Asking) -> None:
    with FaultServer([said("Guten Tag.", language="de")]) as server:
        model = asking.provider("acme", server.url, PRICED)
        async with asking.open() as service:
            made = await transcribe(service, SECOND, model=model, language="de")
            assert (made.response, made.language, made.duration) == ("Guten Tag.", "de", 1.0)
            assert made.usage.seconds == 1.0
            assert made.cost.usd == pytest.approx(0.001)
            with pytest.raises(BudgetExceeded, match=r"may cost \$0\.001 "):
                await transcribe(service, SECOND, model=model, budget_usd=0.0005)
        request = server.requests[0]
    assert request.target == "/audio/transcriptions"
    assert b'name="file"; filename="recording.wav"' in request.body
    assert SECOND in request.body


async def test_a_long_recording_goes_in_pieces_and_its_times_are_those_of_the_whole(asking: Asking) -> None:
    quirks = f"{PRICED}quirks = {{ max_bytes = {RATE * 2 * 4} }}\n"
    segment = {"text": "x", "start": 0.5, "end": 1.0, "speaker": "A"}
    with FaultServer([said(" one", segments=[segment], duration=3.9)]) as server:
        model = asking.provider("acme", server.url, quirks)
        async with asking.open() as service:
            made = await transcribe(service, sound.wav(bytes(2 * RATE * 10), RATE), model=model, timestamps="segment")
        count = len(server.requests)
    assert count >= 3
    assert made.response == " ".join(["one"] * count)
    assert made.duration == 10
    starts = [one.start or 0 for one in made.segments]
    assert starts == sorted(starts)
    assert starts[0] == 0.5
    assert starts[-1] > 6
    assert f"the recording was sent in {count} pieces" in made.warnings


async def test_what_was_heard_before_a_piece_failed_is_not_lost(asking: Asking) -> None:
    quirks = f"{PRICED}quirks = {{ max_bytes = {RATE * 2 * 4} }}\n"
    bad = Reply(status=400, body=b'{"error": {"message": "no"}}')
    with FaultServer([said("one"), bad]) as server:
        model = asking.provider("acme", server.url, quirks)
        async with asking.open() as service:
            with pytest.raises(BadRequest) as caught:
                await transcribe(service, sound.wav(bytes(2 * RATE * 6), RATE), model=model)
    assert caught.value.partial == "one"


async def test_what_was_heard_before_a_budget_ended_is_told_and_kept_in_the_run(asking: Asking) -> None:
    quirks = f"{PRICED}quirks = {{ max_bytes = {RATE * 2 * 4} }}\n"
    with FaultServer([said("one")]) as server:
        model = asking.provider("acme", server.url, quirks)
        async with asking.open() as service:
            recording = sound.wav(bytes(2 * RATE * 6), RATE)
            with pytest.raises(BudgetExceeded) as caught:
                await transcribe(service, recording, model=model, budget_usd=0.005, run_id="r1")
            assert caught.value.partial == "one one one"
            info = await cast("App", service).journals.get("r1", "local")
            assert (info.status, info.result["kind"], info.result["partial"]) == ("failed", "budget", "one one one")
            assert "What had arrived, also kept in run r1:\none one one" in told(caught.value, "r1")
        assert len(server.requests) == 3


async def test_a_piece_that_was_not_heard_leaves_a_mark_between_those_that_were(asking: Asking) -> None:
    quirks = f"{PRICED}quirks = {{ max_bytes = {RATE * 2 * 4} }}\n"
    bad = Reply(status=400, body=b'{"error": {"message": "no"}}')
    seconds = [bytes([0, at]) * RATE for at in range(6)]
    recording = sound.wav(b"".join(seconds), RATE)
    with FaultServer([said("one"), bad, said("more")]) as server:
        model = asking.provider("acme", server.url, quirks)
        async with asking.open() as service:
            with pytest.raises(BadRequest) as caught:
                await transcribe(service, recording, model=model)
        sent = [request.body for request in server.requests]  # those behind the first at once, in any order
    pieces = [piece for _, piece in sound.pieces(recording, RATE * 2 * 4)]
    refused = next(at for at, piece in enumerate(pieces) if piece in sent[1])
    words = ["one", *["more"] * (len(pieces) - 1)]
    words[refused] = "[...]"
    assert len(sent) == len(pieces) > 2
    assert caught.value.partial == " ".join(words).removesuffix(" [...]")


async def test_a_long_recording_of_another_format_says_what_to_do(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(asking.home))
    with FaultServer([said("x")]) as server:
        model = asking.provider("acme", server.url, f"{PRICED}quirks = {{ max_bytes = 1000 }}\n")
        async with asking.open() as service:
            with pytest.raises(TooLarge, match=r"Pass it as WAV, .*or install ffmpeg"):
                await transcribe(service, b"ID3\x04" + bytes(2000), model=model)
        assert server.requests == []


async def test_words_come_as_they_are_streamed(asking: Asking) -> None:
    events = [
        {"type": "transcript.text.delta", "delta": "Ruby"},
        {"type": "transcript.text.delta", "delta": " is"},
        {"type": "transcript.text.done", "text": "Ruby is", "usage": {"type": "duration", "seconds": 2}},
    ]
    body = b"".join(b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in events)
    with FaultServer([Reply(headers={"content-type": "text/event-stream"}, body=body, piece=7)]) as server:
        model = asking.provider("acme", server.url)
        words: list[str] = []

        async def say(text: str) -> None:
            words.append(text)

        async with asking.open() as service:
            made = await transcribe(service, SECOND, model=model, on_text=say)
        assert b'name="stream"' in server.requests[0].body
    assert (words, made.response, made.usage.seconds) == (["Ruby", " is"], "Ruby is", 2)


async def test_after_the_first_word_was_shown_nobody_is_asked_again(asking: Asking) -> None:
    body = b'data: {"type": "transcript.text.delta", "delta": "Ruby"}\n\n'
    with FaultServer(
        [Reply(headers={"content-type": "text/event-stream"}, body=body, length=999, reset=len(body))]
    ) as server:
        model = asking.provider("acme", server.url)

        async def say(text: str) -> None:
            assert text == "Ruby"

        async with asking.open() as service:
            with pytest.raises(Exception, match="acme"):
                await transcribe(service, SECOND, model=model, on_text=say)
        assert len(server.requests) == 1


async def test_a_server_that_does_not_stream_gives_all_words_at_once(asking: Asking) -> None:
    with FaultServer([said("all of it")]) as server:
        model = asking.provider("acme", server.url)
        words: list[str] = []

        async def say(text: str) -> None:
            words.append(text)

        async with asking.open() as service:
            await transcribe(service, SECOND, model=model, on_text=say)
    assert words == ["all of it"]


async def test_plain_text_is_a_transcript_and_a_page_is_none(asking: Asking) -> None:
    plain = Reply(headers={"content-type": "text/plain; charset=UTF-8"}, body=b" Hello.")
    page = Reply(headers={"content-type": "text/html"}, body=b"<html>")
    with FaultServer([plain, page]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            assert (await transcribe(service, SECOND, model=model)).response == " Hello."
            with pytest.raises(Garbled, match="is an HTML page"):
                await transcribe(service, SECOND, model=model)


@pytest.mark.parametrize("file", [b"just text", "nowhere.wav", "https://example.com/a.mp3", "/etc/passwd"])
async def test_what_is_no_recording_is_said_before_anything_is_sent(asking: Asking, file: Any) -> None:
    async with asking.open() as service:
        with pytest.raises(InvalidInput):
            await transcribe(service, file)


async def test_a_stream_that_breaks_before_its_first_word_is_begun_again(asking: Asking) -> None:
    done = {"type": "transcript.text.done", "text": "Ruby"}
    good = f'data: {{"type": "transcript.text.delta", "delta": "Ruby"}}\n\ndata: {json.dumps(done)}\n\n'.encode()
    kind = {"content-type": "text/event-stream"}
    with FaultServer([Reply(headers=kind, body=good, reset=20), Reply(headers=kind, body=good)]) as server:
        model = asking.provider("acme", server.url)
        words: list[str] = []

        async def say(text: str) -> None:
            words.append(text)

        async with asking.open() as service:
            made = await transcribe(service, SECOND, model=model, on_text=say)
        assert len(server.requests) == 2
    assert (words, made.response) == (["Ruby"], "Ruby")
