"""Recorded replies of every dialect against what the vendors' own SDKs made of the same bytes.

The comparison is ours: canonical stop reasons, one normal form of usage, errors by status and class, model and id.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm import errors
from mcp_llm.wires import models, tokens
from mcp_llm.wires.reply import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_llm.types.chat import ChatResponse

CHAT = ("anthropic-messages", "google-gemini", "ollama-chat", "openai-chat", "openai-responses")

EXCUSED = {
    "openai-responses--azure--vercel-azure-deepseek-reasoning-1": (
        "error",
        "a Chat Completions body filed under Responses, of which the SDK makes an empty answer",
    ),
    "anthropic-messages--anthropic--vercel-spliced-message-start-stream": (
        "tool calls",
        "two answers spliced into one stream, whose arguments the SDK glues into a value nobody sent",
    ),
}
"""Case -> the one fault let through, and why the expected record is wrong there. A case that agrees after all, or
differs in anything else, fails the test; excused cases are not counted as agreeing."""

STOPS = {
    "stop": "stop end_turn STOP COMPLETE stop_sequence STOP_SEQUENCE eos end completed complete",
    "length": "length max_tokens MAX_TOKENS max_output_tokens model_length model_context_window_exceeded",
    "tool_calls": "tool_calls function_call tool_use TOOL_CALL",
    "content_filter": "content_filter refusal SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY "
    "MODEL_ARMOR",
    "pause": "pause_turn",
    "error": "error failed MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS MALFORMED_RESPONSE",
    "cancelled": "cancelled",
}
STOP = {word: stop for stop, words in STOPS.items() for word in words.split()}

CLASSES: dict[str, type[errors.ProviderError] | tuple[type[errors.ProviderError], ...]] = {
    "AuthenticationError": errors.AuthError,
    "PermissionDeniedError": errors.AuthError,
    "PaymentRequiredError": errors.QuotaExceeded,
    "NotFoundError": errors.NotFound,
    "RateLimitError": (errors.RateLimited, errors.QuotaExceeded),
    "BadRequestError": (errors.BadRequest, errors.NotFound, errors.AuthError),
    "UnprocessableEntityError": errors.BadRequest,
    "ConflictError": errors.Overloaded,
    "InternalServerError": errors.Overloaded,
    "OverloadedError": errors.Overloaded,
    "GatewayTimeoutError": (errors.Overloaded, errors.Timeout),
}

Faults = list[str]


def fault(name: str, got: object, want: object) -> str:
    return f"{name}: {str(got)[:160]!r} for {str(want)[:160]!r}"


def wanted_stops(expected: dict[str, Any]) -> set[str]:
    raw = expected.get("incomplete_reason") or expected.get("finish_reason") or expected.get("status")
    if expected.get("refusal") or expected.get("block_reason"):
        return {"content_filter"}
    stop = STOP.get(raw, "other") if raw else None
    if expected.get("tool_calls"):
        if any(call.get("legacy_function_call") for call in expected["tool_calls"]):
            return {"tool_calls", "stop", "other"}
        # A call cut off by the token limit is a call and a cut: either may be told.
        return {"tool_calls"} if stop in {None, "stop", "tool_calls"} else {"tool_calls", str(stop)}
    return {stop} if stop else {"stop", "other", "length", "content_filter"}


def arguments(value: object) -> object:
    if not isinstance(value, str):
        return {} if value is None else value
    try:
        return json.loads(value) if value.strip() else {}
    except ValueError:
        return value


def tool_faults(expected: dict[str, Any], got: ChatResponse) -> Iterator[str]:
    wanted = expected.get("tool_calls", [])
    calls = got.message.tool_calls
    if any(call.get("legacy_function_call") for call in wanted) and not calls:
        return  # functions from before tools: reading them is a choice
    want = [
        (call["name"], call["input"] if call.get("custom") else arguments(call.get("arguments_raw", call["arguments"])))
        for call in wanted
    ]
    have = [
        (call.name, call.arguments if same and same.get("custom") else arguments(call.arguments))
        for call, same in zip(calls, [*wanted, *[None] * len(calls)], strict=False)
    ]
    if want != have:
        yield fault("tool calls", have, want)
    ids, given = [call.id for call in calls], [call.get("id") for call in wanted]
    if len(ids) == len(given) and any(want and want != have for want, have in zip(given, ids, strict=True)):
        yield fault("tool call ids", ids, given)
    if not all(ids) or len(set(ids)) != len(ids):
        yield fault("tool call ids", ids, "unique ids")


def plus(a: int | None, b: int | None) -> int | None:
    return b if a is None else a + (b or 0)


def usage_faults(expected: dict[str, Any], got: ChatResponse) -> Iterator[str]:
    want, usage, wire = expected.get("usage"), got.usage, expected["wire"]
    if not want:
        if usage.output and not usage.estimated:
            yield fault("usage", usage, None)
        return
    cached = want.get("cached", want.get("cache_read"))
    for name in ("num_cached_tokens", "prompt_cache_hit_tokens", "cached_tokens"):  # beside OpenAI's own place
        cached = (want.get("raw") or {}).get(name) if cached is None else cached
    inputs, outputs = {want["input"]}, {want["output"]}
    if wire == "anthropic-messages":
        inputs = {(want["input"] or 0) + (want.get("cache_read") or 0) + (want.get("cache_write") or 0)}
        if (usage.cache_write or 0) != (want.get("cache_write") or 0):
            yield fault("usage.cache_write", usage.cache_write, want.get("cache_write"))
    elif wire == "google-gemini":
        inputs = {plus(want["input"], want.get("tool_use"))}
        outputs = {plus(want["output"], want.get("reasoning"))}
    elif wire == "openai-chat":
        raw = want["raw"]
        extra = raw.get("total_tokens") or 0
        more = (want.get("reasoning") or 0) + (raw.get("citation_tokens") or 0)
        if more and extra >= (want["input"] or 0) + want["output"] + (want.get("reasoning") or 0):
            outputs = {want["output"] + (want.get("reasoning") or 0), want["output"] + more}
        elif raw.get("reasoning_tokens"):
            outputs |= {want["output"] + raw["reasoning_tokens"], want["output"] + more + raw["reasoning_tokens"]}
    for name, value, right in (("input", usage.input, inputs), ("output", usage.output, outputs)):
        if value not in right:
            yield fault(f"usage.{name}", value, right)
    if (usage.cached or 0) != (cached or 0):
        yield fault("usage.cached", usage.cached, cached)
    if want.get("reasoning") is not None and usage.reasoning not in {want["reasoning"], want["reasoning"] or None}:
        yield fault("usage.reasoning", usage.reasoning, want["reasoning"])


def thought(got: ChatResponse) -> set[str]:
    pieces = [part.text for part in got.message.parts if part.type == "thinking"]
    return {joint.join(pieces).strip() for joint in ("", "\n", "\n\n")}


def answer_faults(expected: dict[str, Any], got: ChatResponse) -> Iterator[str]:
    text, unjudged = expected.get("text") or "", set(expected.get("not_judged", ()))
    # A <think> block may be left in the text or taken out of it: a quirk decides.
    inline = text.lstrip().startswith("<think>") and got.text != text
    if inline:
        words, _, rest = text.lstrip().removeprefix("<think>").partition("</think>")
        if got.text.strip() != rest.strip() or words.strip() not in thought(got):
            yield fault("text", got.text, text)
    else:
        if got.text != text:
            yield fault("text", got.text, text)
        if (expected.get("reasoning") or "").strip() not in thought(got):
            yield fault("reasoning", thought(got), expected.get("reasoning"))
    if "tool_calls" not in unjudged:
        yield from tool_faults(expected, got)
    stops = wanted_stops(expected)
    if got.stop not in stops:
        yield fault("stop", (got.stop, got.stop_raw), stops)
    if (raw := expected.get("finish_reason")) and got.stop_raw != raw:
        yield fault("stop_raw", got.stop_raw, raw)
    yield from usage_faults(expected, got)
    for name, value, key in (("model", got.model, "model"), ("id", got.id, "response_id")):
        if expected.get(key) and value != expected[key]:
            yield fault(name, value, expected[key])


def error_faults(expected: dict[str, Any], status: int, error: errors.ProviderError | None) -> Iterator[str]:
    if error is None:
        yield fault("error", None, expected.get("error"))
        return
    want = expected.get("error") or {}
    if status >= 400:
        if error.status != status:
            yield fault("error.status", error.status, status)
        if (cls := CLASSES.get(want.get("cls", ""))) and not isinstance(error, cls):
            yield fault("error class", type(error).__name__, want["cls"])
        if type(error) in {errors.ProviderError, errors.Garbled, errors.Disconnected}:
            yield fault("error class", type(error).__name__, "one that says what to do")
    if not error.message or not str(error).encode():
        yield fault("error.message", error.message, want.get("message"))


def faults(case: Any) -> Faults:
    expected, outcome = case.expected, case.read()
    failed = expected.get("error_in_body") or expected.get("status") == "failed"
    if expected["outcome"] != "ok" or failed:
        found = list(error_faults(expected, case.status, outcome.error))
        if expected["outcome"] == "stream-error" and outcome.text != expected["text"]:
            found.append(fault("text before the error", outcome.text, expected["text"]))
        return found
    if outcome.error is not None:
        return [fault("error", f"{type(outcome.error).__name__}: {outcome.error}", None)]
    return list(answer_faults(expected, outcome.response))


def tell(wire: str, what: str, count: int, found: dict[str, Faults], report: list[str], note: str = "") -> None:
    report.append(f"{what}: {count - len(found)}/{count} {wire}{note}")
    bad = {name: items for name, items in found.items() if items}
    assert not bad, "\n" + "\n".join(f"{name}\n    " + "\n    ".join(items) for name, items in bad.items())


@pytest.mark.parametrize("wire", CHAT)
def test_replies_are_read_as_the_vendors_read_them(wire: str, corpus: Any, report: list[str]) -> None:
    found = {case.id: bad for case in corpus[wire] if (bad := faults(case))}
    excused = [case.id for case in corpus[wire] if case.id in EXCUSED]
    for name in excused:
        kind, reason = EXCUSED[name]
        assert name in found, f"{name} is excused ({reason}) but agrees: take it off the list"
        found[name] = [told for told in found[name] if not told.startswith(f"{kind}: ")]
        report.append(f"tapes: excused {name}: {reason}")
    tell(wire, "tapes", len(corpus[wire]), found, report, f", {len(excused)} excused" if excused else "")


@pytest.mark.parametrize("wire", CHAT)
def test_the_same_bytes_cut_anywhere_give_the_same(wire: str, corpus: Any, report: list[str]) -> None:
    """Sizes 1, 2, 3, 7 and 64 for every stream that is not long, every size to 64 for a sixteenth of them."""
    found: dict[str, Faults] = {}
    cases = [case for case in corpus[wire] if case.status < 400]
    for case in cases:
        whole = case.read().told
        sample = zlib.crc32(case.id.encode()) % 16
        if not case.is_stream:
            sizes = {1 + sample, 64}
        elif len(case.body) > 8000:
            sizes = {1 + sample % 3, 7, 64}
        else:
            sizes = {1, 2, 3, 7, 64, *(range(1, 65) if sample == 0 else ())}
        bad = [size for size in sorted(sizes) if case.read(size).told != whole]
        if bad:
            found[case.id] = [f"differs in pieces of {bad} bytes"]
    tell(wire, "cut anywhere", len(cases), found, report)


LISTS = {"anthropic-models": "anthropic", "google-models": "gemini", "openai-models": "openai"}


@pytest.mark.parametrize("wire", LISTS)
def test_model_lists_are_read_whole(wire: str, corpus: Any, report: list[str]) -> None:
    found: dict[str, Faults] = {}
    for case in corpus[wire]:
        want = case.expected
        if want["outcome"] == "error":
            bad = list(error_faults(want, case.status, case.read().error))
        else:
            listed, _ = models.wire(LISTS[wire]).decode(parse(case.body))
            have = [len(listed), listed[0].id, listed[-1].id]
            last = want.get("last") or want.get("last_id") or listed[-1].id
            wish = [want["count"], want["first"].removeprefix("models/"), last]
            bad = [] if have == wish else [fault("models", have, wish)]
        if bad:
            found[case.id] = bad
    tell(wire, "tapes", len(corpus[wire]), found, report)


COUNTS = {"anthropic-count-tokens": "anthropic", "google-count-tokens": "gemini"}


@pytest.mark.parametrize("wire", COUNTS)
def test_token_counts_are_read(wire: str, corpus: Any, report: list[str]) -> None:
    found: dict[str, Faults] = {}
    for case in corpus[wire]:
        want = case.expected
        if want["outcome"] == "error":
            bad = list(error_faults(want, case.status, case.read().error))
        else:
            count = tokens.wire(COUNTS[wire]).decode(parse(case.body))
            wish = want.get("input_tokens", want.get("total_tokens"))
            bad = [] if count == wish else [fault("tokens", count, wish)]
        if bad:
            found[case.id] = bad
    tell(wire, "tapes", len(corpus[wire]), found, report)


def test_the_comparison_itself_can_fail(corpus: Any) -> None:
    """Every expected field, when changed, is noticed in at least one case of every wire."""
    for wire in CHAT:
        answers = [case for case in corpus[wire] if case.expected["outcome"] == "ok" and case.read().response]
        noticed = set()
        for case in answers[:60]:
            case_expected = case.expected
            for key, value in (
                ("text", "?" + (case_expected.get("text") or "")),
                ("reasoning", "?" + (case_expected.get("reasoning") or "")),
                ("tool_calls", [{"id": "x", "name": "nobody", "arguments": {}}]),
                ("finish_reason", "cancelled"),
                ("usage", {"input": -1, "output": -1, "raw": {}}),
                ("model", "nobody"),
            ):
                case.expected = {**case_expected, key: value}
                if re.search(key.split("_")[0], " ".join(faults(case))):
                    noticed.add(key)
            case.expected = case_expected
        assert {"text", "reasoning", "tool_calls", "usage", "model"} <= noticed, wire
