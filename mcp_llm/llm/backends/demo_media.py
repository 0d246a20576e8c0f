"""The demo's other operations: the same small files for the same request, valid and plainly none of a model's.

An embedding here is a hash of the words: texts that share words are near one another, and nothing else is meant by it.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
import sys
import zlib
from array import array
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import InvalidInput
from mcp_llm.types.embed import Vectors
from mcp_llm.types.image import Picture, Pictures
from mcp_llm.types.speech import Spoken
from mcp_llm.types.transcribe import Segment, Transcript
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from mcp_llm.types.embed import EmbedRequest, Vector
    from mcp_llm.types.image import ImageRequest
    from mcp_llm.types.speech import SpeechRequest
    from mcp_llm.types.transcribe import TranscribeRequest

NOTICE: Final = "This is mcp-llm's built-in demo, no model."
DIMENSIONS: Final = 64
MOST_DIMENSIONS: Final = 4096
RATE: Final = 8000
TONE: Final = RATE // 8
"""Samples of one word."""
MOST_TONES: Final = 40
SIDE: Final = 64
"""Pixels of a picture's side."""


async def embed(request: EmbedRequest, model: str) -> Vectors:
    """Unit vectors, each word adding to one number."""
    words = sum(len(text.split()) for text in request.texts)
    size = request.dimensions or DIMENSIONS
    if size > MOST_DIMENSIONS:
        raise InvalidInput(f"`dimensions` is {size:,}; the demo's vectors have at most {MOST_DIMENSIONS:,} numbers")
    return Vectors([_vector(text, size) for text in request.texts], Usage(input=words, output=0, estimated=True), model)


def _vector(text: str, size: int) -> Vector:
    sums = [0.0] * size
    for word in re.findall(r"\w+", text.lower()) or [""]:
        digest = hashlib.sha256(word.encode("utf-8", "replace")).digest()
        sums[int.from_bytes(digest[:4], "big") % size] += 1.0
    length = sum(value * value for value in sums) ** 0.5
    return array("d", (round(value / length, 6) for value in sums))


async def image(request: ImageRequest, model: str) -> Pictures:
    """A small PNG of two colours, which the words choose, running into one another."""
    pictures = [Picture(_png(f"{number} {request.prompt}")) for number in range(request.n)]
    return Pictures(pictures, Usage(images=request.n), model)


async def transcribe(request: TranscribeRequest, model: str) -> Transcript:
    """Not what was said: the demo cannot hear. Its words have the times that were asked for."""
    text = f"{NOTICE} It was given {len(request.data):,} bytes of {request.mime} and did not listen."
    end = request.duration
    each = None if end is None else end / len(text.split())
    words = [
        Segment(
            text=word,
            start=None if each is None else round(at * each, 3),
            end=None if each is None else round((at + 1) * each, 3),
        )
        for at, word in enumerate(text.split())
    ]
    return Transcript(
        text,
        segments=[Segment(text=text, start=0.0, end=end)] if request.timestamps == "segment" else [],
        words=words if request.timestamps == "word" else [],
        language="en",
        duration=end,
        usage=Usage(seconds=end),
        model=model,
    )


async def speech(request: SpeechRequest, model: str) -> Spoken:
    """A tone for each word, its height chosen by the word: the demo cannot speak."""
    samples = array("h")
    for word in request.text.split()[:MOST_TONES]:
        pitch = 220 + hashlib.sha256(word.encode("utf-8", "replace")).digest()[0] * 3
        samples.extend(
            round(8000 * math.sin(at * pitch * math.tau / RATE) * math.sin(at * math.pi / TONE)) for at in range(TONE)
        )
    if sys.byteorder == "big":
        samples.byteswap()
    return Spoken(samples.tobytes(), "audio/l16", RATE, Usage(characters=len(request.text)), model)


def _png(words: str) -> bytes:
    digest = hashlib.sha256(words.encode("utf-8", "replace")).digest()
    first, last = digest[:3], digest[3:6]
    rows = bytearray()
    for y in range(SIDE):
        mixed = bytes((a * (SIDE - 1 - y) + b * y) // (SIDE - 1) for a, b in zip(first, last, strict=True))
        rows += b"\0" + mixed * SIDE

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(rows), 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
