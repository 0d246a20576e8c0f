"""What the dialects of batches have in common: entries, how a batch stands, and results that are matched by key.

The requests inside are a chat wire's own, and so are the replies: here they are only packed and unpacked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from mcp_llm.errors import InvalidInput
from mcp_llm.types.text import unbroken
from mcp_llm.wires import base
from mcp_llm.wires.reply import STUMBLES, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from mcp_llm.types.message import Json

Status: TypeAlias = Literal["running", "ended", "failed", "cancelled", "expired"]
"""In all but `running` and `failed` there may be results."""


class Quirks(base.Quirks):
    """How much one batch may hold, and what it costs."""

    max_items: int = 50_000
    max_bytes: int = 200_000_000
    price: float = 0.5
    """The share of the usual price."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request under a key of ours: letters and digits, at most 64 of them."""

    key: str
    request: base.HttpRequest


@dataclass(frozen=True, slots=True)
class State:
    """How a batch stands. `places` say where its results are read; counts are None where the vendor tells none."""

    id: str
    status: Status
    done: int | None = None
    total: int | None = None
    places: tuple[str, ...] = ()
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The reply to one entry: a chat reply's JSON, or an error's with a status of 400 and more (None: not said)."""

    key: str
    status: int | None
    body: Json

    def __post_init__(self) -> None:
        if not isinstance(self.status, int | None):
            raise TypeError("status")


class BatchWire(Protocol):
    """A dialect; satisfied by a module. Written straight: a wrong type or missing key becomes `Garbled` outside."""

    @property
    def Quirks(self) -> type[Quirks]: ...  # noqa: N802 - the name of a class in the module

    def submit(
        self, entries: Sequence[Entry], model: str, quirks: Any
    ) -> Generator[base.HttpRequest, base.HttpReply, State]:
        """The requests that make the batch, each answered before the next is asked for; last, how it stands."""
        ...

    def poll(self, batch_id: str, quirks: Any) -> base.HttpRequest:
        """Ask how it stands."""
        ...

    def state(self, reply: base.HttpReply) -> State:
        """What the reply to `poll` says."""
        ...

    def reading(self, state: State, quirks: Any) -> list[base.HttpRequest]:
        """What has to be read for the results."""
        ...

    def results(self, reply: base.HttpReply) -> Iterator[Result]:
        """The results in one of these replies, in no order."""
        ...

    def cancel(self, batch_id: str, quirks: Any) -> base.HttpRequest:
        """Ask for its end; what is answered by then can be read."""
        ...


def lines(reply: base.HttpReply, one: Callable[[Any], Result]) -> Iterator[Result]:
    """What `one` makes of each value of a body of JSON lines."""
    return each([line for line in reply.body.split(b"\n") if line.strip()], lambda line: one(parse(line)))


def each(values: Sequence[Any], one: Callable[[Any], Result]) -> Iterator[Result]:
    """What `one` makes of each value: one that cannot be read costs only its own result, and the others are paid for.

    Raises ValueError where there are values and none of them can be read.
    """
    read = 0
    for value in values:
        try:
            result = one(value)
        except STUMBLES:
            continue
        read += 1
        yield result
    if values and not read:
        raise ValueError("no result of the batch can be read")


def packed(values: Sequence[Any]) -> bytes:
    """JSON lines. Raises InvalidInput for NaN and infinities, for which a vendor refuses the whole file."""
    import json

    try:
        written = [unbroken(json.dumps(one, ensure_ascii=False, allow_nan=False)) for one in values]
    except (TypeError, ValueError) as exc:
        raise InvalidInput(f"a request of the batch is no JSON: {str(exc)[:100]}") from None
    return "".join(f"{line}\n" for line in written).encode()
