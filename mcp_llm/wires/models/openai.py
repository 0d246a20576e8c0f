"""The model list of OpenAI (`/models`, ids only) and of those who say more under the same path, each in its own words.

What a list does not say stays None. Prices become dollars per million tokens.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import Field

from mcp_llm.wires import base

from . import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcp_llm.types.message import Json


class Quirks(base.Quirks):
    """Where the list is."""

    path: str = "/models"
    """Appended to the base URL."""
    query: dict[str, str] = Field(default_factory=dict)
    """Sent with every page, e.g. `{ endpoint = "chat" }`."""


_CONTEXT: Final = ("context_length", "context_window", "max_context_length", "max_model_len", "contextLength")
_OUTPUT: Final = ("max_completion_tokens", "max_output_tokens", "max_output_length", "max_tokens")
_NAME: Final = ("display_name", "displayName", "name")
_RETIRES: Final = ("shutdown_date", "deprecation", "expiration_date", "retires_at", "deprecation_date")
_WORDS: Final = ("supported_parameters", "supported_features", "features", "tags")
"""Lists of words that say what a model can do."""
_TOOLS: Final = frozenset({"tools", "tool-use", "tool_use", "function_calling", "supports_tools", "tool_call"})
_JSON: Final = frozenset(
    {"structured_outputs", "structured-outputs", "response_format", "json_mode", "supports_structured_output"}
)
_REASONING: Final = frozenset({"reasoning", "reasoning_effort", "include_reasoning", "thinking"})
_READS: Final[dict[str, frozenset[str]]] = {
    "image": frozenset({"image", "vision", "supports_image_input", "image-input"}),
    "pdf": frozenset({"file", "pdf", "file-input"}),
    "audio": frozenset({"audio", "audio-input"}),
    "video": frozenset({"video", "video-input"}),
}
_CHATS: Final = frozenset({"completion_chat", "supports_chat", "chat", "chat_completion"})
_OTHER_KINDS: Final = frozenset(
    {"embedding", "embeddings", "image", "audio", "video", "rerank", "reranking", "moderation", "transcribe", "speech"}
)


def encode(cursor: str | None, quirks: Quirks) -> base.HttpRequest:
    """One page; `cursor` is the query of the next one."""
    return base.HttpRequest(method="GET", path=quirks.path, query={**quirks.query, **dict(parse_qsl(cursor or ""))})


def decode(body: Json) -> tuple[list[base.ModelInfo], str | None]:
    """The models of a page and the query of the next. Lists are bare or under `data` or `models`."""
    if isinstance(body, list):
        return rows.read(body, _info), None
    listed = body.get("data")
    if listed is None:
        listed = body["models"]
    return rows.read(listed, _info), _next(body)


def _next(body: dict[str, Any]) -> str | None:
    """`links.next` is a URL, `next_page_token` what it says."""
    links = body.get("links")
    if isinstance(links, dict) and isinstance(links.get("next"), str):
        return urlsplit(links["next"]).query or None
    if token := body.get("next_page_token"):
        return urlencode({"page_token": token})
    return urlencode({"pageToken": body["nextPageToken"]}) if body.get("nextPageToken") else None


def _info(item: dict[str, Any]) -> base.ModelInfo:
    name = next((item[key] for key in _NAME if item.get(key)), None)
    prices = list(_prices(item))
    abilities = set(_abilities(item))
    model_id = item.get("id") or item.get("key") or item["name"]
    return base.ModelInfo(
        id=model_id,
        name=name if name != model_id else None,
        context=_context(item),
        output=_first([_table(item, "top_provider"), item], _OUTPUT),
        can=_can(item, abilities),
        reads=_reads(item, abilities),
        retires=_retires(item),
        input_price=prices[0][0] if prices else None,
        output_price=prices[0][1] if prices else None,
    )


def _table(item: dict[str, Any], key: str) -> dict[str, Any]:
    value = item.get(key)
    return value if isinstance(value, dict) else {}


def _routes(item: dict[str, Any]) -> list[dict[str, Any]]:
    """The hosts behind a router's model that are up."""
    routes = item.get("providers")
    found = routes if isinstance(routes, list) else []
    return [route for route in found if isinstance(route, dict) and route.get("status", "live") == "live"]


def _first(tables: Iterable[dict[str, Any]], keys: Iterable[str]) -> int | None:
    """The first count above 0: some lists say 0 for unknown."""
    for value in (table.get(key) for table in tables for key in keys):
        if isinstance(value, int | float) and value is not True and value > 0 and value % 1 == 0:
            return int(value)
    return None


def _context(item: dict[str, Any]) -> int | None:
    meta = _table(item, "meta")
    own = _first([_table(item, "top_provider"), item], _CONTEXT) or _first([meta], ("n_ctx", "n_ctx_train"))
    if own is not None:
        return own
    # Wherever a router sends it, this much fits.
    sizes = [_first([route], _CONTEXT) for route in _routes(item)]
    return min((size for size in sizes if size is not None), default=None)


# What it can do


def _abilities(item: dict[str, Any]) -> Iterator[str]:
    for key in _WORDS:
        words = item.get(key)
        yield from (word for word in words if isinstance(word, str)) if isinstance(words, list) else ()
    for table in (item, _table(item, "capabilities"), *_routes(item)):
        yield from (key for key, value in table.items() if value is True)


def _modalities(item: dict[str, Any], way: str) -> list[Json] | None:
    found = _table(item, "architecture").get(f"{way}_modalities", item.get(f"{way}_modalities"))
    return found if isinstance(found, list) else None


def _can(item: dict[str, Any], abilities: set[str]) -> tuple[str, ...] | None:
    """() for what does not chat; None where the list says nothing of abilities."""
    makes, capabilities, endpoints = _modalities(item, "output"), _table(item, "capabilities"), item.get("endpoints")
    chats = [table[key] for table in (item, capabilities) for key in _CHATS if isinstance(table.get(key), bool)]
    if (
        (makes is not None and "text" not in makes)
        or (chats and not any(chats))
        or (isinstance(endpoints, list) and "chat" not in endpoints)
        or item.get("type") in _OTHER_KINDS
    ):
        return ()
    told = any(item.get(key) for key in _WORDS)
    by_route = any("supports_tools" in route for route in _routes(item))
    if not (told or by_route or chats or "supports_tools" in item):
        return None
    can = ["streaming"]
    if abilities & _TOOLS:
        can.append("tools")
    # Lists of bare switches have none for structured output: it is a matter of course there.
    if abilities & _JSON or not (told or by_route):
        can.append("json")
    if abilities & _REASONING:
        can.append("reasoning")
    return tuple(can)


def _reads(item: dict[str, Any], abilities: set[str]) -> tuple[str, ...] | None:
    told = _modalities(item, "input")
    if told is None and not item.get("capabilities") and not abilities & frozenset().union(*_READS.values()):
        return None
    words = abilities if told is None else set(map(str, told))
    return tuple(kind for kind, names in _READS.items() if words & names)


# Dates and money


def _retires(item: dict[str, Any]) -> str | None:
    """The day, as YYYY-MM-DD."""
    for key in _RETIRES:
        value = item.get(key)
        if isinstance(value, str) and value:
            return value[:10]
        if type(value) is int and 0 < value < 1 << 36:
            return datetime.fromtimestamp(value, UTC).date().isoformat()
    return None


def _prices(item: dict[str, Any]) -> Iterator[tuple[float | None, float | None]]:
    """Input and output; a router's hosts count only if they all ask the same."""
    prices = _price(_table(item, "pricing"))
    if any(price is not None for price in prices):
        yield prices
        return
    ticks = item.get("prompt_text_token_price"), item.get("completion_text_token_price")
    if type(ticks[0]) is int and type(ticks[1]) is int:
        yield ticks[0] / 10_000, ticks[1] / 10_000  # cents for a hundred million tokens (xAI)
        return
    routes = {_price(_table(route, "pricing")) for route in _routes(item)}
    if len(routes) == 1:
        yield routes.pop()


def _price(pricing: dict[str, Any]) -> tuple[float | None, float | None]:
    asked = [pricing.get("prompt", pricing.get("input")), pricing.get("completion", pricing.get("output"))]
    return _dollars(asked[0]), _dollars(asked[1])


def _dollars(value: Json) -> float | None:
    """Text is dollars a token, 0 is free and negative unknown; a number is dollars a million, and 0 unknown."""
    if isinstance(value, str):
        try:
            price = float(value) * 1_000_000
        except ValueError:
            return None
        return round(price, 6) if 0 <= price < 1e9 else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None
