"""The model of the host that calls us as a provider, `host:default`: MCP sampling, where the host still offers it.

What a host offers is known only while a call of its is open, so whoever serves the call says it with `offering`; the
work of a call inherits it. Here is nothing of the protocol.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio

from mcp_llm.errors import Disconnected, Timeout
from mcp_llm.types.chat import Delta, End
from mcp_llm.wires.base import ModelInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mcp_llm.types.chat import ChatRequest, Chunk, Stop
    from mcp_llm.types.message import Media, Text

PROVIDER: Final = "host"
MODEL: Final = "default"
PATIENCE: Final = 300.0
"""Seconds for an answer: hosts ask a person before they ask their model."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a host's model said; `model` and `stop_raw` as the host names them."""

    part: Text | Media
    model: str | None
    stop: Stop
    stop_raw: str | None = None


Sampler: TypeAlias = Callable[["ChatRequest"], Awaitable[Sampled]]
"""Asks the host. Raises the errors of `mcp_llm.errors`."""

_OFFERED: ContextVar[Sampler | None] = ContextVar("mcp_llm_sampler", default=None)


@contextmanager
def offering(sampler: Sampler | None) -> Iterator[None]:
    """Within it, and in the tasks that are begun there, the host's model can be asked."""
    token = _OFFERED.set(sampler)
    try:
        yield
    finally:
        _OFFERED.reset(token)


class HostModel:
    """The backend."""

    def models(self) -> list[ModelInfo]:
        """One, where the host of this call offers it."""
        return [ModelInfo(id=MODEL)] if _OFFERED.get() is not None else []

    def lacking(self) -> str:
        """Why it cannot be asked."""
        return "the host that calls does not offer its model (MCP sampling)"

    async def aclose(self) -> None:
        """Nothing is held."""

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        """The answer, whole: hosts do not stream theirs."""
        if (sampler := _OFFERED.get()) is None:
            raise Disconnected(f"{self.lacking()}: name another model", retry=False)
        said: Sampled | None = None
        with anyio.move_on_after(PATIENCE):
            said = await sampler(request)
        if said is None:
            raise Timeout(f"the host did not answer within {PATIENCE:.0f} s")
        yield Delta(0, said.part)
        yield End(stop=said.stop, stop_raw=said.stop_raw, model=said.model)
