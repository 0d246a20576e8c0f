"""Dialects of making films, by name: a job is submitted once, asked for until it has ended, and may be called off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from mcp_llm.wires.named import dialect

if TYPE_CHECKING:
    from mcp_llm.types.video import Job, VideoRequest
    from mcp_llm.wires.base import HttpReply, HttpRequest

WIRES: Final = ("gemini", "xai")


class JobWire(Protocol):
    """A dialect; satisfied by a module of this folder. What reads replies is written straight, as everywhere."""

    @property
    def Quirks(self) -> type[Any]: ...  # noqa: N802 - the name of a class in the module

    def submit(self, request: VideoRequest, model: str, quirks: Any) -> HttpRequest:
        """Orders the film."""
        ...

    def submitted(self, reply: HttpReply) -> str:
        """The job's id."""
        ...

    def poll(self, job: str, quirks: Any) -> HttpRequest:
        """Asks how it stands."""
        ...

    def state(self, reply: HttpReply) -> Job:
        """How it stands."""
        ...

    def cancel(self, job: str, quirks: Any) -> HttpRequest | None:
        """Calls it off; None where the vendor has no way to."""
        ...


def wire(name: str) -> JobWire:
    """The module of a dialect; KeyError for a name that is none."""
    return cast("JobWire", dialect(__name__, name, WIRES))
