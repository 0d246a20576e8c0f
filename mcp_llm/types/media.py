"""What every operation but chat gives: an answer in words and its receipt; the media are told apart from their bytes.

Requests and answers of one operation are in the file of its name (`embed.py`, `image.py`, ...).
"""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import Field

from .message import Value
from .result import Cost, Tokens, Tried, line
from .usage import Usage  # noqa: TC001 - the annotations of a protocol


class Given(Protocol):
    """What a wire makes of a reply: beside the thing itself, what it used and what the vendor calls it."""

    @property
    def usage(self) -> Usage: ...

    @property
    def model(self) -> str | None: ...

    @property
    def id(self) -> str | None: ...


class File(Value):
    """One made file. `data` are its bytes, never part of the JSON; `path` is where it lies, for whose machine it is."""

    uri: str
    """`artifacts://` and its hash: read it as a resource."""
    sha256: str
    """The hash of its bytes, 64 hexadecimal digits."""
    mime: str
    """What it is, `image/png`."""
    size: int
    """Bytes."""
    name: str
    """A name to keep it by."""
    path: str | None = None
    data: bytes = Field(default=b"", exclude=True, repr=False)


class Made(Value):
    """The result of an operation: `response` says in words what was made, so that text alone has lost nothing."""

    response: str
    model: str = Field(description="what was asked for")
    model_used: str | None = None
    """The model that really answered."""
    provider: str | None = None
    """Who answered."""
    usage: Tokens = Field(default_factory=Tokens)
    """What was counted."""
    cost: Cost = Field(default_factory=Cost)
    """What it cost."""
    latency_ms: int | None = None
    """Milliseconds from the request to the end."""
    request_id: str | None = None
    """The provider's id of the request."""
    run_id: str
    """The id under which it is kept."""
    fallbacks: tuple[Tried, ...] = ()
    """Who was tried first, and why they failed."""
    warnings: tuple[str, ...] = ()
    """What was noticed on the way."""
    files: tuple[File, ...] = ()
    """What was made."""

    @property
    def receipt(self) -> str:
        """One line: model, what was counted, cost, seconds, run id."""
        return line(self)

    def lean(self) -> dict[str, Any]:
        """The result as JSON, without what no language model should have to read, what is unknown and what is empty."""
        data = self.model_dump(mode="json", exclude_none=True)
        data["cost"].setdefault("usd", None)
        return {key: value for key, value in data.items() if value not in ([], {})}
