"""Replies of 400 and more, and errors inside streams -> which error, with the vendor's own words kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm import errors
from mcp_llm.wires.failures import BY_STATUS, KINDS, failure, from_data, retry_after

DATE = "Fri, 20 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "1"}, 1.0),
        ({"retry-after": " 20 "}, 20.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "1_000"}, None),
        ({"retry-after": "9999999999999"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Fri, 20 Nov 2026 10:01:30 GMT", "date": DATE}, 90.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:01:30 +0200", "date": DATE}, 90.0),
        ({"retry-after": "Fri, 20 Nov 2026 09:00:00 GMT", "date": DATE}, None),
        ({"retry-after": "Fri, 20 Nov 2026 10:01:30 GMT"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 10:01:30 -0000", "date": DATE}, None),
        ({"retry-after": "Fri, 99 Nov 2026 10:01:30 GMT", "date": DATE}, None),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "nan", "retry-after": "2"}, 2.0),
        ({"retry-after-ms": "-5"}, None),
    ],
)
def test_seconds_to_wait_are_read_from_the_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text(max_size=40)))
def test_no_header_makes_a_wait_that_is_not_a_positive_number(headers: dict[str, str]) -> None:
    seconds = retry_after(headers)
    assert seconds is None or 0 < seconds < float("inf")


@pytest.mark.parametrize(
    ("status", "cls"),
    [*BY_STATUS.items(), (418, errors.BadRequest), (500, errors.Overloaded), (503, errors.Overloaded)],
)
def test_a_status_without_words_decides_alone(status: int, cls: type[errors.ProviderError]) -> None:
    error = failure(status, {}, b"")
    assert (type(error), error.status, error.message) == (cls, status, "no explanation was given")


@pytest.mark.parametrize(
    ("status", "value", "cls"),
    [
        (
            413,
            {
                "message": "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7000, "
                "please reduce your message size and try again.",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            },
            errors.ContextTooLong,
        ),
        (
            429,
            {
                "message": "Request too large for gpt on tokens per min (TPM): Limit 30000, Requested 40000.",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            },
            errors.ContextTooLong,
        ),
        (
            429,
            {
                "message": "Rate limit reached for gpt on tokens per min (TPM): Limit 30000, Used 29000.",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            },
            errors.RateLimited,
        ),
        (403, "Content violates usage guidelines. Failed check: SAFETY", errors.Refused),
        (403, "Your key may not do this.", errors.AuthError),
    ],
)
def test_waiting_or_another_key_is_not_advised_where_neither_would_help(
    status: int, value: object, cls: type[errors.ProviderError]
) -> None:
    assert type(failure(status, {}, body({"error": value}))) is cls


def body(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("status", "value", "cls", "message", "code"),
    [
        (
            400,
            {"error": {"message": "m", "type": "invalid_request_error"}},
            errors.BadRequest,
            "m",
            "invalid_request_error",
        ),
        (
            404,
            {"error": {"message": "m", "type": "invalid_request_error"}},
            errors.NotFound,
            "m",
            "invalid_request_error",
        ),
        (400, {"error": {"message": "m", "code": "model_not_found"}}, errors.NotFound, "m", "model_not_found"),
        (
            429,
            {"error": {"message": "m", "code": "insufficient_quota"}},
            errors.QuotaExceeded,
            "m",
            "insufficient_quota",
        ),
        (429, {"error": {"message": "m", "code": 429, "status": "RESOURCE_EXHAUSTED"}}, errors.RateLimited, "m", "429"),
        (
            400,
            {
                "error": {
                    "message": "API key not valid.",
                    "status": "INVALID_ARGUMENT",
                    "details": [{"reason": "API_KEY_INVALID"}],
                }
            },
            errors.AuthError,
            "API key not valid.",
            "API_KEY_INVALID",
        ),
        (
            400,
            {"error": {"message": "This model's maximum context length is 8 tokens"}},
            errors.ContextTooLong,
            "This model's maximum context length is 8 tokens",
            None,
        ),
        (400, {"error": {"message": "m", "code": "content_filter"}}, errors.Refused, "m", "content_filter"),
        (
            400,
            {"error": "Incorrect API key provided", "code": "x"},
            errors.AuthError,
            "Incorrect API key provided",
            "x",
        ),
        (
            401,
            {"error": {"message": "Unauthorized", "type": "api_error"}},
            errors.AuthError,
            "Unauthorized",
            "api_error",
        ),
        (
            422,
            {"detail": [{"loc": ["body", "x", 0], "msg": "required"}, "y"]},
            errors.BadRequest,
            "body.x.0: required; y",
            None,
        ),
        (
            422,
            {"detail": [{"loc": 5, "msg": "required"}, {"loc": None, "msg": "bad"}, {}]},
            errors.BadRequest,
            "5: required; bad; None",
            None,
        ),
        (
            422,
            {"object": "error", "message": {"detail": [{"loc": ["body"], "msg": "no"}]}},
            errors.BadRequest,
            "body: no",
            None,
        ),
        (401, {"detail": "Invalid API Key"}, errors.AuthError, "Invalid API Key", None),
        (
            400,
            {"object": "error", "message": "m", "type": "invalid_model", "code": "1500"},
            errors.BadRequest,
            "m",
            "1500",
        ),
        (400, {"success": False, "errors": [{"code": 5007, "message": "m"}]}, errors.BadRequest, "m", "5007"),
        (500, [{"error": {"message": "m", "status": "INTERNAL"}}], errors.Overloaded, "m", "INTERNAL"),
        (429, {"error": {"message": "", "metadata": {"raw": "upstream"}}}, errors.RateLimited, "upstream", None),
        (500, "words", errors.Overloaded, "words", None),
        (
            529,
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            errors.Overloaded,
            "m",
            "overloaded_error",
        ),
    ],
)
def test_every_known_shape_of_body_is_read(
    status: int, value: object, cls: type[errors.ProviderError], message: str, code: str | None
) -> None:
    error = failure(status, {}, body(value))
    assert (type(error), error.message, error.code, error.status) == (cls, message, code, status)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>\n<b>502</b>", "no explanation was given; the reply is an HTML page"),
        (
            b"<!DOCTYPE html>\n<html><head>\n<title>\nBad&nbsp;gateway\x1b</title><style>x</style>",
            "no explanation was given; the reply is an HTML page: 'Bad\\\\xa0gateway\\\\x1b'",
        ),
        (
            b"<!-- ours --><center><h1>502 Bad Gateway</h1>",
            "no explanation was given; the reply is an HTML page: '502 Bad Gateway'",
        ),
        (b"<html><title>" + b"x" * 5000, "no explanation was given; the reply is an HTML page"),
        (b"<b>502</b>", "no explanation was given; the reply begins: '<b>502</b>'"),
        (b"{}", "no explanation was given; the reply begins: '{}'"),
        (b"\x1b[2J", "no explanation was given; the reply begins: '\\\\x1b[2J'"),
        (b"[" * 100_000, f"no explanation was given; the reply begins: '{'[' * 200}'"),
    ],
)
def test_a_body_without_words_is_shown_as_it_begins(data: bytes, message: str) -> None:
    assert failure(502, {}, data).message == message


def test_the_providers_own_codes_come_before_every_table() -> None:
    data = body({"error": {"message": "m", "code": "1113", "type": "rate_limit_error"}})
    assert isinstance(failure(429, {}, data, codes={"1113": "quota"}), errors.QuotaExceeded)
    assert isinstance(failure(429, {}, data, codes={"1113": "no such kind"}), errors.RateLimited)


def test_an_error_in_a_stream_is_placed_by_its_words() -> None:
    assert isinstance(from_data({"error": {"type": "overloaded_error", "message": "m"}}), errors.Overloaded)
    assert isinstance(from_data({"error": {"code": 429, "message": "m"}}), errors.RateLimited)
    assert isinstance(from_data({"error": {"code": "invalid_api_key"}}), errors.AuthError)
    assert from_data({"error": {"code": 429, "message": "m"}}).status is None


def test_what_a_retry_needs_is_kept() -> None:
    details: list[dict[str, Any]] = [{"@type": "x"}, {"retryDelay": "34.4s"}]
    error = failure(
        429,
        {"x-request-id": "r1", "x-should-retry": "false", "retry-after": "7"},
        body({"error": {"message": "m", "param": "p", "type": "t", "details": details}}),
    )
    assert (error.request_id, error.may_retry, error.retry_after) == ("r1", False, 7.0)
    assert (error.param, error.type) == ("p", "t")
    assert failure(429, {}, body({"error": {"details": details}})).retry_after == 34.4
    assert not failure(429, {}, body({"error": {"code": "insufficient_quota"}})).may_retry


def test_a_message_can_always_be_printed_and_encoded() -> None:
    error = failure(500, {}, body({"error": {"message": "line\nred \x1b[31m half \ud83d"}}))
    assert error.message == "line\nred \\x1b[31m half \\ud83d"
    assert str(error).encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "errors",
                    "message",
                    "msg",
                    "detail",
                    "details",
                    "loc",
                    "code",
                    "type",
                    "status",
                    "reason",
                    "metadata",
                    "raw",
                    "error_type",
                    "error_code",
                    "retryDelay",
                    "param",
                    "request_id",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    value=json_values,
    status=st.none() | st.integers(200, 600),
    headers=st.dictionaries(st.just("x-should-retry"), st.text()),
)
def test_no_shape_of_body_is_anything_but_an_error_of_ours(
    value: object, status: int | None, headers: dict[str, str]
) -> None:
    error = from_data(value, status=status, headers=headers)
    assert type(error) in KINDS.values()
    assert error.message
    assert str(error).encode()


@given(st.integers(400, 599), st.binary(max_size=60))
def test_no_bytes_are_anything_but_an_error_of_ours(status: int, data: bytes) -> None:
    error = failure(status, {}, data)
    assert (type(error) in KINDS.values(), error.status) == (True, status)
