"""Asking for anything but words: one way for every operation whose answer comes whole.

An `Operation` says what is special: which fields may be left out, how large a reply may be, what it can cost at most.
Routing, retries, fallbacks, budgets, ledger and learned parameters are those of chat.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeAlias, TypeVar

from mcp_llm.errors import Disconnected, Error, Unsupported

from . import learning
from .exchange import whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from contextlib import AsyncExitStack

    from mcp_llm.catalog.find import Target
    from mcp_llm.types.media import Given
    from mcp_llm.types.usage import Usage
    from mcp_llm.wires.base import WholeWire

    from .answer import Begun, Hold, Job
    from .attempts import Attempts

MIB: Final = 1024 * 1024


class Request(Protocol):
    """What every request has."""

    @property
    def options(self) -> dict[str, Any]: ...

    def model_copy(self, *, update: dict[str, Any]) -> Any: ...


Taker: TypeAlias = "Callable[[bytes], Awaitable[bool]]"
Q = TypeVar("Q", bound=Request)
R = TypeVar("R", bound="Given")


@dataclass(frozen=True, slots=True)
class Operation(Generic[Q, R]):
    """One operation. `name` is its folder under `wires/`, the kind of its models and the method of a backend.

    `counted` is what a request will use as far as we can tell; `worst` the most that it can, None where nobody knows.
    """

    name: str
    counted: Callable[[Q], Usage]
    worst: Callable[[Q], Usage | None]
    soft: frozenset[str] = frozenset()
    """Fields that may be left out, with a warning, where a model refuses them."""
    cap: int = 64 * MIB
    """Bytes of a reply."""
    patience_s: float = 60.0
    """Seconds to the first byte that are no sign of trouble."""


@dataclass(slots=True)
class Called(Generic[Q, R]):
    """One upstream call that was answered."""

    begun: Begun[Q, R]
    usage: Usage
    cost: Any

    @property
    def given(self) -> R:
        """What the wire made of the reply."""
        return self.begun.opening


@dataclass(slots=True)
class Whole(Generic[Q, R]):
    """The way of all these operations: sent, read to the end, decoded; all of it may be tried again."""

    llm: Attempts
    operation: Operation[Q, R]
    on_data: Callable[[], Taker] | None = None
    """Called for each attempt; what it gives gets the bytes, and says whether it has shown some."""
    shown: bool = False

    def fit(self, request: Q, target: Target, learned: Collection[str]) -> tuple[Q, Target, list[str]]:
        changes: dict[str, Any] = {}
        warnings: list[str] = []
        if target.facts.extra:
            changes["options"] = {**target.facts.extra, **request.options}
        for name in sorted(self.operation.soft.intersection(learned)):
            if getattr(request, name) is not None:
                changes[name] = None
                warnings.append(f"`{name}` was not sent: {target.name} does not take it")
        return (request.model_copy(update=changes) if changes else request), target, warnings

    async def reserve(self, request: Q, target: Target, job: Job) -> tuple[Q, Hold | None, list[str]]:
        worst = self.operation.worst(request)
        return request, await self.llm.purse.set_aside(worst, request.options, target, job), []

    def tokens(self, request: Q) -> int:
        return self.operation.counted(request).input or 1

    async def send(self, own: AsyncExitStack, request: Q, target: Target, deadline: float) -> tuple[R, list[str]]:
        llm, operation = self.llm, self.operation
        if target.wire in {"demo", "code"}:
            return await self._by_code(request, target), []
        wire = dialect(operation.name, target)
        http = wire.encode(request, target.model_id, target.quirks)
        deadlines = llm.deadlines(target, deadline - time.monotonic())
        patience = max(deadlines.first_byte, operation.patience_s)
        given = await whole(
            http,
            target,
            llm.access,
            llm.transport(),
            replace(deadlines, first_byte=patience),
            cap=operation.cap,
            decode=lambda reply: wire.decode(reply, request, target.quirks),
            on_data=None if self.on_data is None else self._showing(self.on_data()),
        )
        return given, http.warnings

    def culprit(self, error: Error, request: Q) -> str | None:
        spellings = _spellings(self.operation.name)

        def known(word: str) -> str | None:
            name = spellings.get(word.removesuffix("[]"), word)
            return name if name in self.operation.soft and getattr(request, name, None) is not None else None

        return learning.named(error, known)

    def without(self, request: Q, target: Target, field_: str) -> tuple[Q, Target, list[str]]:
        words = f"`{field_}` was refused by {target.name}; asked again without it"
        return request.model_copy(update={field_: None}), target, [words]

    def _showing(self, take: Taker) -> Callable[[bytes], Awaitable[None]]:
        async def show(data: bytes) -> None:
            self.shown |= await take(data)

        return show

    async def _by_code(self, request: Q, target: Target) -> R:
        backend = self.llm.backends.doing(target.provider_id, self.operation.name)
        if backend is None:
            raise Unsupported(f"{target.provider_id} is code that has no `{self.operation.name}(request, model)`")
        try:
            given: R = await backend(request, target.model_id)
        except Error:
            raise
        except (Exception, SystemExit) as exc:  # an exit would end the loop that everybody runs on
            # Somebody's own code: its text may hold anything, its type is enough to look for.
            raise Disconnected(f"the provider's own code failed with {type(exc).__name__}", retry=False) from exc
        return given


def dialect(operation: str, target: Target) -> WholeWire[Any, Any]:
    """The wire that a target speaks for an operation."""
    wire: WholeWire[Any, Any] = import_module(f"mcp_llm.wires.{operation}").wire(target.wire)
    return wire


def _spellings(operation: str) -> dict[str, str]:
    package = import_module(f"mcp_llm.wires.{operation}")
    return {word: name for wire in package.WIRES for word, name in package.wire(wire).SPELLINGS.items()}


def filled(told: Usage, counted: Usage) -> Usage:
    """What the provider counted; where it did not, what we did: pieces are sure, tokens are marked as an estimate."""
    updates: dict[str, Any] = {
        name: getattr(counted, name)
        for name in ("images", "seconds", "characters")
        if getattr(told, name) is None and getattr(counted, name) is not None
    }
    if told.input is None and told.output is None and counted.input is not None:
        updates |= {"input": counted.input, "output": counted.output, "estimated": True}
    return told.model_copy(update=updates) if updates else told
