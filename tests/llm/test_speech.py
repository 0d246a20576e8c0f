"""Speech from the words to the file: headers for samples, long texts in pieces, what is no sound, what it costs."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from faults.server import FaultServer, Reply
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.errors import BudgetExceeded, Garbled, InvalidInput, TooLarge
from mcp_llm.files import sound
from mcp_llm.llm.speech import pieces, speak

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio

PRICED = """
[models.m]
kind = "speech"
price = { characters = 20, source = "test", checked = 2026-01-01 }
"""
MP3 = b"ID3\x04\0\0\0\0\0\0" + bytes(50)
WAV = sound.wav(b"\1\0" * 800, 8000)


def audio(data: bytes, kind: str = "audio/mpeg", **more: Any) -> Reply:
    return Reply(headers={"content-type": kind}, body=data, **more)


def asked(server: FaultServer) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in server.requests]


async def test_words_are_a_file_and_characters_are_paid(asking: Asking) -> None:
    with FaultServer([audio(MP3)]) as server:
        model = asking.provider("acme", server.url, PRICED)
        async with asking.open() as service:
            made = await speak(service, "Good morning.", model=model, voice="coral")
            (file,) = made.files
            assert (file.mime, file.name, file.data) == ("audio/mpeg", "good-morning.mp3", MP3)
            assert (made.response, made.usage.characters) == ("spoken: 13 characters", 13)
            assert made.cost.usd == pytest.approx(13 * 20e-6)
            with pytest.raises(BudgetExceeded):
                await speak(service, "x" * 4000, model=model, budget_usd=0.01)
        assert asked(server) == [{"model": "m", "input": "Good morning.", "voice": "coral"}]


async def test_bare_samples_get_the_header_they_lack(asking: Asking) -> None:
    reply = {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {
                            "inlineData": {
                                "mimeType": "audio/L16;codec=pcm;rate=8000",
                                "data": base64.b64encode(b"\1\0" * 800).decode(),
                            }
                        }
                    ]
                },
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 4,
            "candidatesTokenCount": 25,
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}],
        },
    }
    with FaultServer([Reply(body=json.dumps(reply).encode())]) as server:
        model = asking.provider("acme", server.url, '[wires]\nspeech = "gemini"\n')
        async with asking.open() as service:
            made = await speak(service, "Hi.", model=model)
            bare = await speak(service, "Hi.", model=model, format="pcm")
    assert (made.files[0].data, made.files[0].mime, made.duration) == (WAV, "audio/wav", 0.1)
    assert (made.usage.input, made.usage.output) == (4, 25)
    assert (bare.files[0].data, bare.files[0].name) == (b"\1\0" * 800, "hi.pcm")


async def test_a_long_text_is_spoken_in_pieces_and_is_one_file(asking: Asking) -> None:
    with FaultServer([audio(WAV, "audio/wav")]) as server:
        model = asking.provider("acme", server.url, f'{PRICED}quirks = {{ max_characters = 20, format = "wav" }}\n')
        heard: list[bytes] = []

        async def hear(data: bytes) -> None:
            heard.append(data)

        async with asking.open() as service:
            made = await speak(service, "One sentence here. Another one there.\nA third!", model=model, on_sound=hear)
            with pytest.raises(TooLarge, match="opus cannot be joined"):
                await speak(service, "One sentence here. Another one there.", model=model, format="opus")
        said = [one["input"] for one in asked(server)]
    assert said == ["One sentence here.", "Another one there.", "A third!"]
    assert made.files[0].data == sound.joined([WAV] * 3)
    assert made.duration == pytest.approx(0.3)
    assert heard == [WAV] * 3


async def test_sound_goes_on_as_it_comes(asking: Asking) -> None:
    with FaultServer([audio(MP3, piece=16)]) as server:
        model = asking.provider("acme", server.url)
        heard: list[bytes] = []

        async def hear(data: bytes) -> None:
            heard.append(data)

        async with asking.open() as service:
            await speak(service, "Hi.", model=model, on_sound=hear)
    assert b"".join(heard) == MP3


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(headers={"content-type": "text/html"}, body=b"<html>sorry"), "is an HTML page"),
        (Reply(headers={"content-type": "audio/mpeg"}, body=b"<html>sorry"), "is an HTML page"),
        (audio(b"\0\1\2\3" * 9), "no sound but binary data"),
        (audio(b"\x89PNG\r\n\x1a\n" + bytes(99)), "no sound but"),
        (audio(b""), "no sound"),
        (Reply(body=b'{"audio_data": "@@"}'), "base64"),
        (Reply(body=b'{"other": 1}'), "shape the wire does not have"),
    ],
)
async def test_what_is_no_sound_is_no_file(asking: Asking, reply: Reply, words: str) -> None:
    with FaultServer([reply]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            with pytest.raises(Garbled, match=words):
                await speak(service, "Hi.", model=model)
    assert not list((asking.home / "artifacts").glob("*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"text": " "}, "`text` is empty"),
        ({"text": "x" * 200_001}, "200,001 characters"),
        ({"text": "x", "speed": 0.01}, "`speed`"),
        ({"text": "x", "format": "midi"}, "`format`"),
    ],
)
async def test_what_cannot_be_spoken_is_said_before_anything_is_sent(
    asking: Asking, arguments: dict[str, Any], words: str
) -> None:
    async with asking.open() as service:
        with pytest.raises(InvalidInput, match=words):
            await speak(service, **arguments)


@given(st.text(alphabet="ab .!\n", max_size=200), st.integers(5, 40))
def test_pieces_are_short_enough_and_lose_no_word(text: str, most: int) -> None:
    found = pieces(text, most)
    assert all(len(piece) <= most for piece in found)
    assert "".join("".join(found).split()) == "".join(text.split())


async def test_what_was_spoken_before_a_piece_failed_is_kept(asking: Asking) -> None:
    refused = Reply(status=400, body=b'{"error": {"message": "not this sentence"}}')
    with FaultServer([audio(WAV, "audio/wav"), refused]) as server:
        model = asking.provider("acme", server.url, PRICED + "[quirks.speech]\nmax_characters = 20\n")
        async with asking.open() as service:
            made = await speak(service, "One, two, three. Four, five, six.", model=model, format="wav")
            rows = await service.runs.store.query("SELECT outcome FROM ledger ORDER BY id")
    assert (made.files[0].data, made.usage.characters) == (WAV, 16)
    assert "only the first 1 of 2 pieces are spoken, 16 of 33 characters" in made.warnings[0]
    assert "not this sentence" in made.warnings[0]
    assert rows == [("ok",), ("bad_request",)]


async def test_pieces_that_cannot_be_joined_are_files_each(asking: Asking) -> None:
    with FaultServer([audio(WAV, "audio/wav"), audio(MP3)]) as server:
        model = asking.provider("acme", server.url, PRICED + "[quirks.speech]\nmax_characters = 20\n")
        async with asking.open() as service:
            made = await speak(service, "One, two, three. Four, five, six.", model=model)
    assert [one.data for one in made.files] == [WAV, MP3]
    assert any("each piece is a file of its own" in words for words in made.warnings)
