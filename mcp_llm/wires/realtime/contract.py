"""What a dialect of conversations offers: frames to send, and what the frames that come mean. Pure; JSON both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from mcp_llm.wires import base

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mcp_llm.types.message import Json, ToolResult
    from mcp_llm.types.realtime import RealtimeEvent, RealtimeRequest


class Quirks(base.Quirks):
    """Sound in and out: 16 bits, one channel, so many hertz."""

    rate_in: int = 24_000
    rate_out: int = 24_000
    max_frame: int = 8 * 1024 * 1024
    """Bytes of one frame that are taken."""


class RealtimeDecoder(Protocol):
    """Turns frames into events; written straight, a wrong type or missing key becomes `Garbled` outside."""

    def feed(self, frame: Json) -> Iterable[RealtimeEvent]:
        """What this frame means. Raises the error that it carries."""
        ...


class RealtimeWire(Protocol):
    """A dialect; satisfied by a module. Each function gives the frames that say it, in order."""

    @property
    def Quirks(self) -> type[Any]: ...  # noqa: N802 - the name of a class in the module

    def Decoder(self, quirks: Any) -> RealtimeDecoder:  # noqa: N802 - the name of a class in the module
        """For one session."""
        ...

    def path(self, model: str, quirks: Any) -> str:
        """Under the base URL, with its query."""
        ...

    def opening(self, request: RealtimeRequest, model: str, quirks: Any) -> list[Json]:
        """What is sent first."""
        ...

    def text(self, words: str, quirks: Any) -> list[Json]:
        """A turn of the user's in words; the model answers."""
        ...

    def sound(self, data: bytes, request: RealtimeRequest, quirks: Any, *, first: bool) -> list[Json]:
        """Samples of the user's; `first` of a turn."""
        ...

    def over(self, request: RealtimeRequest, quirks: Any) -> list[Json]:
        """The user's turn in sound is over; the model answers."""
        ...

    def results(self, results: Sequence[ToolResult], quirks: Any) -> list[Json]:
        """What the called tools gave; the model goes on."""
        ...

    def interrupt(self, quirks: Any) -> list[Json]:
        """Stop the answer that is coming."""
        ...
