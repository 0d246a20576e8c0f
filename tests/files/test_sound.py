"""Sound in memory: lengths, pieces that add up, headers; ffmpeg as a program that may be there or not."""

from __future__ import annotations

import io
import math
import wave
from array import array
from typing import TYPE_CHECKING

import pytest

from mcp_llm.errors import InvalidInput, TooLarge
from mcp_llm.files import sound

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

RATE = 8000


def samples(seconds: float, *, quiet: tuple[float, float] = (0, 0)) -> bytes:
    """A tone of 440 Hz with silence in between."""
    return array(
        "h",
        (
            0 if quiet[0] <= at / RATE < quiet[1] else round(9000 * math.sin(at * 440 * math.tau / RATE))
            for at in range(int(seconds * RATE))
        ),
    ).tobytes()


def tone(seconds: float, **more: tuple[float, float]) -> bytes:
    return sound.wav(samples(seconds, **more), RATE)


def frames(data: bytes) -> bytes:
    with wave.open(io.BytesIO(data)) as file:
        found: bytes = file.readframes(file.getnframes())
    return found


def test_a_wav_file_says_how_long_it_is_and_others_do_not() -> None:
    assert sound.duration(tone(1.5)) == 1.5
    assert sound.duration(tone(1.5)[:10_000]) == pytest.approx((10_000 - 44) / 2 / RATE)
    streamed = bytearray(tone(0.5))
    streamed[4:8] = streamed[40:44] = b"\xff\xff\xff\xff"
    assert sound.duration(bytes(streamed)) == 0.5
    assert sound.duration(b"ID3\x04 an mp3") is None
    assert sound.duration(b"") is None


def test_the_pieces_of_a_recording_add_up_to_it_and_begin_where_they_say() -> None:
    whole = tone(10)
    found = sound.pieces(whole, 50_000)
    assert len(found) > 3
    assert all(len(data) <= 50_000 for _, data in found)
    assert b"".join(frames(data) for _, data in found) == frames(whole)
    begins = [begin for begin, _ in found]
    lengths = [sound.duration(data) or 0 for _, data in found]
    assert begins == pytest.approx([sum(lengths[:at]) for at in range(len(found))])


def test_it_is_cut_where_it_is_quiet() -> None:
    found = sound.pieces(tone(10, quiet=(4.0, 4.4)), RATE * 2 * 6)
    assert 4.0 <= found[1][0] <= 4.4


@pytest.mark.parametrize("data", [b"", b"RIFF", b"ID3\x04 an mp3" * 99, tone(1)[:30]])
def test_what_is_no_wav_file_is_not_cut(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="only WAV files"):
        sound.pieces(data, 1000)


def test_pieces_too_small_for_a_second_are_refused() -> None:
    with pytest.raises(TooLarge, match="make it mono"):
        sound.pieces(tone(10), 5000)


def test_files_are_joined_only_where_they_fit_together() -> None:
    assert frames(sound.joined([tone(1), tone(2)])) == frames(tone(1)) + frames(tone(2))
    with pytest.raises(InvalidInput, match="differ"):
        sound.joined([tone(1), sound.wav(b"\0\0" * 100, 16_000)])
    for wrong in ([], [b"no wav"]):
        with pytest.raises(InvalidInput):
            sound.joined(wrong)


async def test_a_rate_that_would_make_gigabytes_of_a_small_file_is_none() -> None:
    with pytest.raises(InvalidInput):
        await sound.samples(sound.wav(b"\0\0" * 100, 1), 24_000)


async def test_other_formats_are_made_into_wav_where_ffmpeg_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await sound.to_wav(b"x") is None
    program = tmp_path / "ffmpeg"
    program.write_text('#!/bin/sh\ncase "$*" in *"-protocol_whitelist pipe -i pipe:0"*) /bin/cat ;; esac\n')
    program.chmod(0o755)
    assert frames(await sound.to_wav(b"\1\0" * 9) or b"") == b"\1\0" * 9
    program.write_text('#!/bin/sh\ncase "$*" in *"-t 2 pipe:1") /bin/cat ;; esac\n')
    with pytest.raises(TooLarge, match="hours: pass it in parts"):
        await sound.to_wav(b"\1\0" * sound.RATE + b"\1\0", most=2 * sound.RATE)
    program.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(InvalidInput, match="export it as WAV"):
        await sound.to_wav(b"x")
