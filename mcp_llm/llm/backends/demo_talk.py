"""The demo's side of a conversation: no language model, no network; says what it was told, with a tone for a voice."""

from __future__ import annotations

import base64
import math
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio

from mcp_llm.wires.realtime import openai as spoken

from .demo import NOTICE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_llm.types.message import Json
    from mcp_llm.wires.realtime.contract import RealtimeWire

wire: Final[RealtimeWire] = spoken
"""The dialect that it speaks."""
RATE: Final = 24_000
TONE: Final = 440.0
SECONDS: Final = 0.2


@asynccontextmanager
async def connected() -> AsyncIterator[DemoTalk]:
    """A session with it."""
    talk = DemoTalk()
    try:
        yield talk
    finally:
        talk.close()


class DemoTalk:
    """What a socket to a vendor would be: frames in, frames out, in the dialect with a `type` in each."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[Any](math.inf)
        self._words: list[str] = []
        self._bytes = 0
        self._speaks = True
        self._turns = 0

    async def send(self, frame: Json) -> None:
        """A frame of the caller's."""
        match frame["type"]:
            case "session.update":
                self._speaks = frame["session"]["output_modalities"] == ["audio"]
                self._tell({"type": "session.updated", "session": frame["session"]})
            case "input_audio_buffer.append":
                self._bytes += len(base64.b64decode(frame["audio"]))
            case "conversation.item.create":
                item = frame["item"]
                said = item.get("output") or " ".join(part["text"] for part in item.get("content", ()))
                self._words.append(said)
            case "response.create":
                self._answer()

    async def receive(self) -> Json:
        """The next frame of its own."""
        frame: Json = await self._receive.receive()
        return frame

    def close(self) -> None:
        """The session is over."""
        self._send.close()
        self._receive.close()

    def _answer(self) -> None:
        self._turns += 1
        heard = f"{self._bytes / 2 / RATE:.1f} s of sound" if self._bytes else " ".join(self._words) or "nothing"
        words, self._words, self._bytes = f"{NOTICE} It was told: {heard}", [], 0
        self._tell({"type": "response.created"})
        for piece in words.split(" "):
            kind = "output_audio_transcript" if self._speaks else "output_text"
            self._tell({"type": f"response.{kind}.delta", "delta": f"{piece} "})
        if self._speaks:
            self._tell({"type": "response.output_audio.delta", "delta": base64.b64encode(tone()).decode()})
        count = len(words.split())
        usage = {"input_tokens": count, "output_tokens": count}
        done = {"id": f"demo-{self._turns}", "status": "completed", "output": [], "usage": usage}
        self._tell({"type": "response.done", "response": done})

    def _tell(self, frame: Json) -> None:
        self._send.send_nowait(frame)


def tone() -> bytes:
    """A fifth of a second of concert pitch, quiet."""
    count = int(RATE * SECONDS)
    samples = (int(3000 * math.sin(2 * math.pi * TONE * at / RATE)) for at in range(count))
    return struct.pack(f"<{count}h", *samples)
