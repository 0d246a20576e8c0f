"""Sound in memory: how long a WAV file is, pieces of it, a header for bare samples, and other formats made into WAV.

WAV is read by the standard library; anything else only by ffmpeg, where it is on the PATH. It gets the bytes on its
stdin and may open nothing else.
"""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
import wave
from array import array
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from mcp_llm.errors import InvalidInput, TooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

RATE: Final = 16_000
"""Samples a second that speech needs."""
SLOWEST: Final = 1_000
FASTEST: Final = 1_000_000
"""Samples a second that a file may claim: of one a second a small file would be made into gigabytes."""
LONGEST: Final = 6 * 3600 * RATE * 2
"""Bytes of samples that ffmpeg may make of a recording, six hours: a small file can be weeks of silence."""
SEARCHED: Final = 3.0
"""Seconds before the end of a piece in which a quiet moment is looked for."""
MOMENT: Final = 0.05
_NO_WAV: Final = (wave.Error, EOFError, struct.error, RuntimeError)
"""What the standard library says of a file that is none; the last of a chunk that lies about its length."""


def duration(data: bytes) -> float | None:
    """Seconds of a WAV file of plain samples; None for anything else."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            rate, width = file.getframerate(), file.getnchannels() * file.getsampwidth()
            said = file.getnframes()
    except _NO_WAV:
        return None
    there = max(0, len(data) - 44) // max(1, width)  # a header written before the end was known lies
    return min(said, there) / rate if rate else None


def _read(data: bytes) -> tuple[wave._wave_params, bytes]:
    """The form of a WAV file and its samples. Raises ValueError for anything else, and for a form that no sound has."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            params = file.getparams()
            samples = file.readframes(min(params.nframes, len(data)))
    except _NO_WAV as exc:
        raise ValueError("no WAV file") from exc
    rated = SLOWEST <= params.framerate <= FASTEST
    if not (0 < params.sampwidth <= 4 and 0 < params.nchannels <= 256 and rated):
        raise ValueError("no such sound")
    return params, samples


def pieces(data: bytes, most: int) -> list[tuple[float, bytes]]:
    """A WAV file as WAV files of at most so many bytes, each with the second at which it begins; cut where it is quiet.

    Raises InvalidInput for what is no WAV file of plain samples.
    """
    try:
        params, samples = _read(data)
    except ValueError:
        raise InvalidInput("only WAV files of plain samples (PCM) can be cut into pieces") from None
    frame = params.nchannels * params.sampwidth
    longest = (most - 1024) // frame
    if longest < params.framerate:
        raise TooLarge(f"a second of this recording has more than {most:,} bytes; make it mono at 16 kHz first")
    found, start, total = [], 0, len(samples) // frame
    while start < total:
        end = min(total, start + longest)
        if end < total:
            end = _quiet(samples, start, end, frame, params)
        found.append((start / params.framerate, _wav(samples[start * frame : end * frame], params)))
        start = end
    return found


def _quiet(samples: bytes, start: int, end: int, frame: int, params: wave._wave_params) -> int:
    """The frame before `end` at the middle of the quietest moment; `end` itself where samples are not 16 bits."""
    if params.sampwidth != 2:
        return end
    step = max(1, int(params.framerate * MOMENT))
    best, quietest = end, None
    for at in range(max(start + step, end - int(params.framerate * SEARCHED)), end - step, step):
        heard = array("h", samples[at * frame : (at + step) * frame])
        loud = sum(map(abs, heard))
        if quietest is None or loud < quietest:
            best, quietest = at + step // 2, loud
    return best


def wav(samples: bytes, rate: int, channels: int = 1, width: int = 2) -> bytes:
    """Little-endian samples with the header that makes them a file."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples[: len(samples) // (channels * width) * channels * width])
    return written.getvalue()


def _wav(samples: bytes, params: wave._wave_params) -> bytes:
    return wav(samples, params.framerate, params.nchannels, params.sampwidth)


def joined(files: Sequence[bytes]) -> bytes:
    """WAV files of one form, one after the other. Raises InvalidInput where their forms differ."""
    params, samples = None, []
    for data in files:
        try:
            form, piece = _read(data)
        except ValueError:
            raise InvalidInput("a piece of sound is no WAV file of plain samples") from None
        if params is not None and form[:3] != params[:3]:
            raise InvalidInput("the pieces of sound differ in rate or channels")
        params = form
        samples.append(piece)
    if params is None:
        raise InvalidInput("there is no sound to join")
    return wav(b"".join(samples), params.framerate, params.nchannels, params.sampwidth)


async def samples(data: bytes, rate: int) -> bytes:
    """The sound as bare samples: 16 bits, one channel, so many hertz. Raises InvalidInput for what cannot be read.

    Another rate is reached by straight lines between samples: enough for speech, and nothing has to be installed.
    """
    if data[:4] != b"RIFF":
        data = await to_wav(data) or data
    try:
        params, frames = _read(data)
    except ValueError:
        raise _unreadable() from None
    channels, given = params.nchannels, params.framerate
    if params.sampwidth != 2:
        raise InvalidInput("the WAV file has samples of another size than 16 bits: convert it first")
    values = array("h", frames[: len(frames) // (2 * channels) * 2 * channels])
    if sys.byteorder == "big":
        values.byteswap()
    return await anyio.to_thread.run_sync(_resampled, values, channels, given, rate)


def _resampled(values: array[int], channels: int, given: int, rate: int) -> bytes:
    if channels > 1:
        values = array("h", [sum(values[at : at + channels]) // channels for at in range(0, len(values), channels)])
    if given != rate and values:
        count = len(values) * rate // given
        last = len(values) - 1
        made = array("h", bytes(2 * count))
        for index in range(count):
            at, part = divmod(index * given, rate)
            left, right = values[min(at, last)], values[min(at + 1, last)]
            made[index] = left + (right - left) * part // rate
        values = made
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


async def to_wav(data: bytes, most: int = LONGEST) -> bytes | None:
    """The recording as WAV for speech, made by ffmpeg; None where it is not installed.

    Raises InvalidInput for what it cannot read, TooLarge for more than `most` bytes of samples.
    """
    if (program := shutil.which("ffmpeg")) is None:
        return None
    command = [program, "-loglevel", "error", "-protocol_whitelist", "pipe", "-i", "pipe:0"]
    command += ["-vn", "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-c:a", "pcm_s16le"]
    command += ["-t", f"{most / RATE / 2 + 1:g}", "pipe:1"]
    try:
        done = await anyio.run_process(command, input=data, check=False, stderr=subprocess.PIPE)
    except BaseExceptionGroup as group:
        if group.split(anyio.BrokenResourceError)[1] is not None:
            raise
        raise _unreadable() from None  # it gave up before it had read all
    if done.returncode != 0 or not done.stdout:
        raise _unreadable()
    if len(done.stdout) > most:
        raise TooLarge(f"the recording is longer than {most / RATE / 7200:.3g} hours: pass it in parts")
    return wav(done.stdout, RATE)


def _unreadable() -> InvalidInput:
    return InvalidInput("ffmpeg cannot read this recording: export it as WAV (mono, 16 kHz) and pass that")
