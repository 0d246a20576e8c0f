"""A call and its answer: what it is part of, who gives it, what it began with, what has come so far."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from mcp_llm.errors import Disconnected, Error, ProviderError, TooLarge
from mcp_llm.types.chat import Fold
from mcp_llm.types.message import Origin
from mcp_llm.types.usage import Usage

from .exchange import blame

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from decimal import Decimal

    from mcp_llm.catalog.find import Target
    from mcp_llm.catalog.price import Cost
    from mcp_llm.errors import Attempt
    from mcp_llm.types.chat import ChatRequest, ChatResponse, Chunk

    from .reservation import Reservation, Scope

Q = TypeVar("Q")
A = TypeVar("A")

MAX_PARTIAL: Final = 1024 * 1024
"""Characters of an answer that broke off that are kept."""


@dataclass(slots=True)
class Job:
    """What a call is part of: where its rows and its money belong, and whom to tell while it waits.

    `timeout_s` bounds the whole call, retries included; `tell` gets one line a person would want to read. `scopes` are
    budgets that it shares with other calls, reserved together with its own. `conversation` is a thread's id or a run's.
    `before` is awaited when the money is reserved and nothing is sent yet. `ahead` is money that is held for it.
    """

    run_id: str
    context: str | None = None
    parent_run: str | None = None
    operation: str = "generate"
    principal: str = "local"
    budget_usd: float | None = None
    timeout_s: float | None = None
    tell: Callable[[str], None] | None = None
    scopes: tuple[Scope, ...] = ()
    conversation: str | None = None
    before: Callable[[], Awaitable[None]] | None = None
    ahead: Reservation | None = None


@dataclass(slots=True)
class Hold:
    """Money set aside for one upstream call, the worst it can cost."""

    reservation: Reservation
    usd: Decimal | None
    tokens: int


@dataclass(slots=True)
class Begun(Generic[Q, A]):
    """An answer that has begun: whose it is, to what, and what it took to get it. Times are `time.monotonic()`."""

    target: Target
    request: Q
    opening: A
    warnings: list[str]
    tried: list[Attempt]
    started: float
    asked: float
    answered: float
    hold: Hold | None


@dataclass(slots=True)
class Answer:
    """An answer as it arrives. Iterate `batches()` to the end, then `response()`; times are seconds."""

    target: Target
    request: ChatRequest
    asked_for: str
    warnings: list[str]
    tried: list[Attempt]
    started: float
    asked: float
    first_chunk: float
    fold: Fold = field(default_factory=Fold)
    error: BaseException | None = None
    finished: float | None = None
    usage: Usage = field(default_factory=Usage)
    cost: Cost | None = None
    hold: Hold | None = None
    _source: AsyncGenerator[list[Chunk]] | None = None
    _first: list[Chunk] = field(default_factory=list)

    @property
    def partial(self) -> str | None:
        """The words that have arrived, for an error or a row; of an endless answer only the beginning."""
        return self.fold.text(MAX_PARTIAL) or None

    async def batches(self) -> AsyncIterator[list[Chunk]]:
        """Chunks as they come, several at a time where they came together; raises with `partial` when it breaks off."""
        batch = self._first
        add = self.fold.add
        try:
            while True:
                for chunk in batch:
                    add(chunk)
                if self.fold.end is not None:
                    self.finished = time.monotonic()
                yield batch
                if self.fold.end is not None or self._source is None:
                    return
                batch = await anext(self._source)
        except StopAsyncIteration:
            self.error = error = blame(Disconnected("the answer ended without saying why"), self.target)
            error.partial = self.partial
            raise error from None
        except ProviderError as exc:
            self.error = blame(exc, self.target)
            exc.partial = self.partial
            # A word was shown already: whatever the cause, nobody may silently ask again.
            exc.retry = False
            raise
        except Error as exc:
            self.error = exc
            if isinstance(exc, TooLarge):
                exc.partial = self.partial
            raise

    async def complete(self) -> ChatResponse:
        """Read to the end."""
        async for _ in self.batches():
            pass
        return self.response()

    def response(self) -> ChatResponse:
        """What has arrived, as a response that says who wrote it."""
        target = self.target
        return self.fold.response(Origin(provider=target.provider_id, model=target.model_id, wire=target.wire))
