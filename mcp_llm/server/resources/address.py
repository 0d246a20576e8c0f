"""A resource's URI taken apart, and what a read gives. Pure; what a part means is the room's affair."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote

from mcp_llm.errors import InvalidInput

LONGEST: Final = 2048
"""Characters of a URI."""
FRESH_MS: Final = 3_600_000
"""How long what no longer changes may be kept by a client."""


@dataclass(frozen=True, slots=True)
class Address:
    """`scheme://path?query`, decoded."""

    scheme: str
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)

    def only(self, *names: str) -> Address:
        """Itself. Raises InvalidInput where the query has other names than these, or the path none may have."""
        if unknown := sorted(self.query.keys() - set(names)):
            takes = f"it takes {', '.join(names)}" if names else "it takes none"
            raise InvalidInput(f"{self.scheme}:// has no variable {unknown[0][:60]!r}; {takes}")
        return self

    def number(self, name: str, default: int) -> int:
        """A whole number of the query. Raises InvalidInput."""
        value = self.query.get(name, "")
        if not value:
            return default
        if not value.removeprefix("-").isascii() or not value.removeprefix("-").isdigit() or len(value) > 15:
            raise InvalidInput(f"`{name}` is {value[:40]!r}; it has to be a whole number")
        return int(value)


@dataclass(frozen=True, slots=True)
class Content:
    """What is read; `fresh_ms` is how long it stays true, `following` the URI of what did not fit."""

    body: str | bytes
    mime: str = "application/json"
    fresh_ms: int = 0
    following: str | None = None


def parse(uri: str) -> Address | None:
    """The parts of a URI; None for what is none."""
    scheme, found, rest = uri.partition("://")
    if not found or len(uri) > LONGEST:
        return None
    path, _, query = rest.partition("?")
    return Address(scheme.lower(), unquote(path).rstrip("/"), dict(parse_qsl(query, keep_blank_values=True)))
