"""The contracts between wires and the rest: what a request and a reply are, and the names a wire module offers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcp_llm.types.chat import ChatRequest, Chunk
    from mcp_llm.types.message import Json

Q_contra = TypeVar("Q_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

Framing: TypeAlias = Literal["sse", "lines"]
"""How a stream is cut into payloads: server-sent events, or one JSON value a line."""


class Quirks(BaseModel):
    """What providers of one dialect disagree on; every wire has a subclass, its defaults the dialect's own behaviour.

    Set in a provider's TOML under `[quirks.chat]`, per family under `[[rules]]`, per model under `[models.x.quirks]`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(slots=True)
class Field:
    """One field of a form; a file where it has a `filename`."""

    name: str
    value: str | bytes
    filename: str | None = None
    mime: str | None = None


@dataclass(slots=True)
class HttpRequest:
    """One HTTP request without host or key. `path` is appended to the provider's base URL; the body is JSON or a form.

    `once`: it makes something that costs, and may under no circumstances be sent twice; a resting connection that turns
    out to be closed would be reason to. `warnings` tells what the wire could not spell and left out, in sentences for
    the caller.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    json: dict[str, Any] | None = None
    form: list[Field] | None = None
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    stream: bool = False
    once: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class HttpReply:
    """One whole HTTP reply; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Frame:
    """One payload of a reply. `data` is None for the `[DONE]` marker; `whole` says that the body was not a stream."""

    event: str | None
    data: Json
    whole: bool = False


class ChatDecoder(Protocol):
    """Turns frames into chunks. Written straight: a wrong type or a missing key becomes `Garbled` in `reply.Reply`.

    A decoder may also have `quick(data) -> str | None` and `quick_slot`: the words of a payload that is nothing but the
    next piece of that slot's text. Pieces that came in one read then leave as one delta, at a third of the cost.
    """

    @property
    def done(self) -> bool:
        """True once the terminal marker of the wire was seen: nothing more has to be read."""
        ...

    def feed(self, frame: Frame) -> Iterable[Chunk]:
        """Deltas of this frame (never `End`). Raises the error that the frame carries, if it carries one."""
        ...

    def close(self) -> Iterable[Chunk]:
        """Deltas held back, then `End`, last. Raises `Disconnected` when the stream was cut before its end."""
        ...


class ChatWire(Protocol):
    """A chat dialect; satisfied by a module or package of `wires/chat/`."""

    @property
    def framing(self) -> Framing: ...

    @property
    def Quirks(self) -> type[Any]: ...  # noqa: N802 - the name of a class in the module

    def encode(self, request: ChatRequest, model: str, quirks: Any) -> HttpRequest:
        """The request as this dialect spells it; raises `Unsupported` for what it cannot say."""
        ...

    def Decoder(self, quirks: Any) -> ChatDecoder:  # noqa: N802 - the name of a class in the module
        """A fresh decoder for one reply."""
        ...


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a provider's own model list says; None is unknown. `can` and `reads` use the catalog's words."""

    id: str
    name: str | None = None
    context: int | None = None
    output: int | None = None
    can: tuple[str, ...] | None = None
    reads: tuple[str, ...] | None = None
    retires: str | None = None
    input_price: float | None = None
    output_price: float | None = None


class ModelsWire(Protocol):
    """Listing models: `encode(cursor)`, then `decode` until it gives no next cursor."""

    @property
    def Quirks(self) -> type[Any]: ...  # noqa: N802 - the name of a class in the module

    def encode(self, cursor: str | None, quirks: Any) -> HttpRequest:
        """Asks for a page; None is the first."""
        ...

    def decode(self, body: Json) -> tuple[list[ModelInfo], str | None]:
        """A page and the next one's cursor, None after the last; a body of another shape is `Garbled` to the caller."""
        ...


class DetailsWire(Protocol):
    """Asking for one model, where the list says nothing of what it can do."""

    def show(self, model: str) -> HttpRequest:
        """Asks for the details of one model."""
        ...

    def decode_show(self, body: Json, model: str) -> ModelInfo:
        """What that model is; a body of another shape is `Garbled` to the caller."""
        ...


class TokensWire(Protocol):
    """Counting the input tokens of a chat request with the provider's own tokenizer."""

    def encode(self, request: ChatRequest, model: str, quirks: Any) -> HttpRequest:
        """The chat request as counting takes it; raises `Unsupported` for what it cannot say."""
        ...

    def decode(self, body: Json) -> int:
        """Tokens of the input."""
        ...


class WholeWire(Protocol[Q_contra, R_co]):
    """An operation whose answer comes whole (`wires/embed/` and its like); satisfied by a module.

    `decode` is written straight: a wrong type or a missing key becomes `Garbled` in `reply.decoded`. `SPELLINGS` are
    the dialect's names of request fields that may be left out where a model refuses them, and ours.
    """

    @property
    def Quirks(self) -> type[Any]: ...  # noqa: N802 - the name of a class in the module

    @property
    def SPELLINGS(self) -> Mapping[str, str]: ...  # noqa: N802 - a constant of the module

    def encode(self, request: Q_contra, model: str, quirks: Any) -> HttpRequest:
        """The request as this dialect spells it; raises `Unsupported` for what it cannot say."""
        ...

    def decode(self, reply: HttpReply, request: Q_contra, quirks: Any) -> R_co:
        """The answer. Raises the error that a reply with a good status carries all the same."""
        ...
