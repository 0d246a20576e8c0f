"""(status, headers, body) -> which error, as tables. Bodies come in a dozen shapes; every recorded one is read.

The order is: the provider's own error codes (`[error_codes]` of its TOML), words of the message that leave no doubt,
words in the code or type, then the status, which a general word does not overrule. Sources: the vendors' error pages as
summed up in the recorded traffic.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from mcp_llm import errors
from mcp_llm.types.text import name

from .excerpts import beginning, printable
from .reply import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_llm.types.message import Json

KINDS: Final[dict[str, type[errors.ProviderError]]] = {
    cls.kind: cls
    for cls in (
        errors.AuthError,
        errors.QuotaExceeded,
        errors.NotFound,
        errors.BadRequest,
        errors.ContextTooLong,
        errors.Refused,
        errors.RateLimited,
        errors.Overloaded,
        errors.Timeout,
        errors.Disconnected,
        errors.Garbled,
    )
}

BY_STATUS: Final[dict[int, type[errors.ProviderError]]] = {
    400: errors.BadRequest,
    401: errors.AuthError,
    402: errors.QuotaExceeded,
    403: errors.AuthError,
    404: errors.NotFound,
    405: errors.NotFound,
    408: errors.Overloaded,
    409: errors.Overloaded,  # the vendors' SDKs retry it: a lock that will be gone in a moment
    410: errors.NotFound,
    413: errors.ContextTooLong,
    422: errors.BadRequest,
    424: errors.Overloaded,
    429: errors.RateLimited,
    498: errors.RateLimited,
    529: errors.Overloaded,
}

BY_CODE: Final[dict[str, type[errors.ProviderError]]] = {
    "insufficient_quota": errors.QuotaExceeded,
    "billing_error": errors.QuotaExceeded,
    "billing_hard_limit_reached": errors.QuotaExceeded,
    "contract_spend_limit_reached": errors.QuotaExceeded,
    "enforced_spend_limit_reached": errors.QuotaExceeded,
    "linked_organization_spend_limit_reached": errors.QuotaExceeded,
    "authentication_error": errors.AuthError,
    "permission_error": errors.AuthError,
    "invalid_api_key": errors.AuthError,
    "API_KEY_INVALID": errors.AuthError,
    "UNAUTHENTICATED": errors.AuthError,
    "PERMISSION_DENIED": errors.AuthError,
    "not_found_error": errors.NotFound,
    "model_not_found": errors.NotFound,
    "NOT_FOUND": errors.NotFound,
    "context_length_exceeded": errors.ContextTooLong,
    "exceed_context_size_error": errors.ContextTooLong,
    "string_above_max_length": errors.ContextTooLong,
    "too_many_prompt_tokens": errors.ContextTooLong,
    "content_filter": errors.Refused,
    "content_policy_violation": errors.Refused,
    "moderation_blocked": errors.Refused,
    "rate_limit_error": errors.RateLimited,
    "rate_limit_exceeded": errors.RateLimited,
    "RESOURCE_EXHAUSTED": errors.RateLimited,
    "overloaded_error": errors.Overloaded,
    "api_error": errors.Overloaded,
    "server_error": errors.Overloaded,
    "timeout_error": errors.Overloaded,
    "INTERNAL": errors.Overloaded,
    "UNAVAILABLE": errors.Overloaded,
    "DEADLINE_EXCEEDED": errors.Overloaded,
    "invalid_request_error": errors.BadRequest,
    "INVALID_ARGUMENT": errors.BadRequest,
}

BY_MESSAGE: Final[tuple[tuple[re.Pattern[str], frozenset[int], type[errors.ProviderError]], ...]] = (
    (
        re.compile(r"api key not valid|incorrect api key|invalid api key|api key (is )?(invalid|expired)", re.I),
        frozenset({400, 401, 403}),
        errors.AuthError,
    ),
    (
        re.compile(
            r"context (length|window|size)|maximum context|prompt is too long|too many (input )?tokens|"
            r"input token count .{0,40}exceeds|reduce the length",
            re.I,
        ),
        frozenset({400, 413, 422}),
        errors.ContextTooLong,
    ),
    (
        # More than a whole minute's allowance: it is "rate limited" however long one waits.
        re.compile(r"request too large|reduce your message size", re.I),
        frozenset({413, 429}),
        errors.ContextTooLong,
    ),
    (
        re.compile(r"content violates|violates (our|the) (content|usage) (guidelines|polic)", re.I),
        frozenset({400, 403}),
        errors.Refused,
    ),
    (
        re.compile(r"insufficient (balance|credit|funds|quota)|credit balance|out of credits|spend(ing)? limit", re.I),
        frozenset({400, 402, 403, 429}),
        errors.QuotaExceeded,
    ),
)


NO_WORDS: Final = "no explanation was given"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait that the headers ask for: `retry-after-ms`, then `retry-after` as a number or an HTTP date.

    A date is taken relative to the reply's own `date` header, so this needs no clock. Anything else - NaN, infinities,
    negative numbers, words - is None.
    """
    for header, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(header, "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d{0,9})?", value) and float(value) > 0:
            return float(value) * scale
    try:
        until = parsedate_to_datetime(headers["retry-after"])
        now = parsedate_to_datetime(headers["date"])
        seconds = (until - now).total_seconds()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return seconds if seconds > 0 else None


def request_id(headers: Mapping[str, str]) -> str | None:
    """The vendor's name for this request, whatever header it uses."""
    for header in ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "cf-ray"):
        if value := headers.get(header):
            return name(value, 200)
    return None


def failure(
    status: int, headers: Mapping[str, str], body: bytes, *, codes: Mapping[str, str] | None = None
) -> errors.ProviderError:
    """The error that a reply with a status of 400 or more stands for."""
    try:
        data = parse(body)
    except (ValueError, RecursionError):
        data = None
    error = from_data(data, status=status, headers=headers, codes=codes)
    if error.message == NO_WORDS and (words := beginning(body)):
        error.message = f"{NO_WORDS}; the reply {words}"
    return error


def from_data(
    data: Json,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    codes: Mapping[str, str] | None = None,
) -> errors.ProviderError:
    """The error that a JSON body or an event in a stream stands for; without a status its codes alone decide."""
    headers = headers or {}
    if isinstance(data, list) and data:
        data = data[0]
    inner = _inner(data)
    message, words, param = _message(inner, data), _words(inner, data), inner.get("param")
    number = _status(status, words)
    cls = _class(number, words, message, codes or {})
    hint = headers.get("x-should-retry")
    error = cls(
        "".join(char if char == "\n" else printable(char) for char in message) or NO_WORDS,
        status=status,
        code=words[0] if words else None,
        type=_text(inner.get("type")) or _text(inner.get("status")),
        param=param if isinstance(param, str) else None,
        request_id=request_id(headers) or (_text(data.get("request_id")) if isinstance(data, dict) else None),
        retry_after=retry_after(headers) or _retry_info(inner),
        retry={"true": True, "false": False}.get(hint.lower()) if hint else None,
    )
    if isinstance(error, errors.QuotaExceeded):
        error.retry = False
    return error


def _inner(data: Json) -> dict[str, Any]:
    if not isinstance(data, dict):
        return {"message": data} if isinstance(data, str) else {}
    inner = data.get("error")
    if inner is None and isinstance(several := data.get("errors"), list) and several:
        inner = several[0]
    if isinstance(inner, dict):
        return inner
    if isinstance(inner, str):
        return {**data, "message": data.get("message") or inner}
    return data


def _message(inner: dict[str, Any], data: Json) -> str:
    detail = data.get("detail") if isinstance(data, dict) else None
    for value in (inner.get("message"), inner.get("msg"), inner.get("detail"), detail):
        if isinstance(value, dict):
            value = value.get("detail") or value.get("message")
        if isinstance(value, str) and value:
            return value[:2000]
        if isinstance(value, list) and value:
            return "; ".join(map(_complaint, value[:5]))[:2000]
    metadata = inner.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return raw[:2000] if isinstance(raw, str) else ""


def _complaint(item: Json) -> str:
    """One entry of a validation report: where, and what is wrong there."""
    if not isinstance(item, dict):
        return str(item)
    loc, what = item.get("loc"), item.get("msg") or item.get("message")
    where = ".".join(map(str, loc)) if isinstance(loc, list) else _text(loc)
    return f"{where}: {what}" if where else str(what)


def _words(inner: dict[str, Any], data: Json) -> list[str]:
    """Every code-like word of the error, most telling first."""
    details = inner.get("details")
    words: list[Any] = [inner.get("code"), inner.get("type"), inner.get("status")]
    if isinstance(details, dict):
        words.insert(0, details.get("error_code"))
    elif isinstance(details, list):
        words[:0] = [item.get("reason") for item in details if isinstance(item, dict)]
    metadata = inner.get("metadata")
    if isinstance(metadata, dict):
        words.append(metadata.get("error_type"))
    if isinstance(data, dict) and isinstance(data.get("type"), str):
        words.append(data["type"])
    return [text for word in words if (text := _text(word))]


def _text(value: object) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    return name(str(value), 200) if isinstance(value, str | int) and str(value) else None


def _status(status: int | None, words: list[str]) -> int | None:
    if status is not None and status >= 400:
        return status
    return next((int(word) for word in words if re.fullmatch(r"[45]\d\d", word)), status)


def _class(status: int | None, words: list[str], message: str, codes: Mapping[str, str]) -> type[errors.ProviderError]:
    for word in words:
        if (cls := KINDS.get(codes.get(word, ""))) is not None:
            return cls
    by_word = next((BY_CODE[word] for word in words if word in BY_CODE), None)
    for pattern, statuses, cls in BY_MESSAGE:
        if (status is None or status in statuses) and pattern.search(message):
            return cls
    by_status = None
    if status is not None and status >= 400:
        by_status = BY_STATUS.get(status, errors.Overloaded if status >= 500 else errors.BadRequest)
    if by_word is None:
        return by_status or errors.Overloaded
    # A general word ("invalid_request_error") does not overrule what the status says more exactly.
    if by_word in (errors.BadRequest, errors.Overloaded) and by_status is not None:
        return by_status
    return by_word


def _retry_info(inner: dict[str, Any]) -> float | None:
    details = inner.get("details")
    for item in details if isinstance(details, list) else ():
        delay = item.get("retryDelay") if isinstance(item, dict) else None
        if isinstance(delay, str) and re.fullmatch(r"\d{1,9}(\.\d{0,9})?s", delay):
            return float(delay[:-1]) or None
    return None
