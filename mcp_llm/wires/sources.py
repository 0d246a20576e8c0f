"""The sources of an answer as a person reads them, out of whatever shape a vendor gives them in. Fetches nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp_llm.types.text import name

if TYPE_CHECKING:
    from mcp_llm.types.message import Json

SHOWN: Final = 300
"""Characters of a title, and of a URL three times as many."""
MOST: Final = 20
"""Sources in a list."""
_PLACES: Final = ("url", "uri")
_TITLES: Final = ("title", "document_title")


def named(citations: Json) -> list[tuple[int, str]]:
    """(number from 1, title and URL) of each source that says either, each once; `[2]` in a text is the second."""
    found: dict[str, int] = {}
    for number, one in enumerate(citations if isinstance(citations, list) else (), start=1):
        if words := _words(one):
            found.setdefault(words, number)
    return [(number, words) for words, number in found.items()]


def lines(citations: Json) -> list[str]:
    """The list that goes below an answer, its heading first; none where there are no sources."""
    found = named(citations)
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return ["Sources:", *(f"[{number}] {one}" for number, one in found[:MOST]), *more] if found else []


def _words(one: Json) -> str:
    if isinstance(one, str):
        return name(one, 3 * SHOWN)
    if not isinstance(one, dict):
        return ""
    inner = [value for value in one.values() if isinstance(value, dict)]  # as `web` or `url_citation`
    for said in (one, *inner):
        title, place = _first(said, _TITLES, SHOWN), _first(said, _PLACES, 3 * SHOWN)
        if title or place:
            return " ".join(filter(None, (title, place)))
    return ""


def _first(said: dict[str, Json], fields: tuple[str, ...], most: int) -> str:
    return next((name(value, most) for field in fields if isinstance(value := said.get(field), str) and value), "")
