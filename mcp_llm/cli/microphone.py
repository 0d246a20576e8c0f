"""Talking with the machine's own microphone and loudspeaker, by the package `sounddevice`; Ctrl-C ends it."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from mcp_llm.errors import ConfigError
from mcp_llm.types.realtime import Interrupted, SoundOut, TurnEnd, Words

from . import terminal

if TYPE_CHECKING:
    from mcp_llm.llm.realtime import Session

BLOCK_S: Final = 0.05
KEPT: Final = 200
"""Blocks that wait to be sent; older ones are dropped, because nobody wants to be heard late."""


async def talk(session: Session) -> None:
    """Until the session or the person ends it. Raises ConfigError where there is no sound on this machine."""
    try:
        import sounddevice  # type: ignore[import-not-found,unused-ignore]
    except (ImportError, OSError):
        raise ConfigError("--mic needs the package sounddevice and a sound card: pip install sounddevice") from None
    heard: queue.Queue[bytes] = queue.Queue(KEPT)

    def take(data: Any, *_: Any) -> None:
        if not heard.full():
            heard.put_nowait(bytes(data))

    block = int(session.rate_in * BLOCK_S)
    try:
        microphone = sounddevice.RawInputStream(session.rate_in, block, channels=1, dtype="int16", callback=take)
        speaker = sounddevice.RawOutputStream(24_000, channels=1, dtype="int16")
    except sounddevice.PortAudioError as exc:
        raise ConfigError(f"the microphone or loudspeaker cannot be opened: {exc}") from None
    terminal.note("listening; Ctrl-C ends it", dim=True)
    with microphone, speaker:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_send, session, heard)
            await _play(session, speaker)
            tasks.cancel_scope.cancel()


async def _send(session: Session, heard: queue.Queue[bytes]) -> None:
    while True:
        data = await anyio.to_thread.run_sync(heard.get, abandon_on_cancel=True)
        await session.hear(data)


async def _play(session: Session, speaker: Any) -> None:
    async for event in session:
        if isinstance(event, SoundOut):
            await anyio.to_thread.run_sync(speaker.write, event.data)
        elif isinstance(event, Interrupted):
            speaker.abort()
            speaker.start()
        elif isinstance(event, Words) and event.heard:
            terminal.note(f"heard: {event.text}", dim=True)
        elif isinstance(event, Words):
            terminal.write(event.text)
        elif isinstance(event, TurnEnd):
            terminal.line()
