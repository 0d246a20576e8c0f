"""What vendors count beside an answer: spelled in five ways, read in one, and never a reason to lose the answer."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from mcp_llm.errors import Garbled
from mcp_llm.types.chat import ChatResponse, Fold
from mcp_llm.types.usage import COUNTS, Usage
from mcp_llm.wires import chat, gemini_usage
from mcp_llm.wires.counts import amount, dollars, first, money, total
from mcp_llm.wires.image import openai as pictures
from mcp_llm.wires.reply import Reply

ODD = ["many", -5, 1.5, True, None, [3], {"a": 3}, float("nan"), 10**400]


def reply(wire: str, usage: Any) -> bytes:
    """A whole answer of one word, with this `usage`."""
    bodies: dict[str, dict[str, Any]] = {
        "anthropic": {"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"},
        "gemini": {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]},
        "ollama": {"message": {"content": "Hi"}, "done": True, "done_reason": "stop"},
        "openai": {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]},
        "responses": {"output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]},
    }
    more = usage if wire == "ollama" else {"usageMetadata" if wire == "gemini" else "usage": usage}
    return json.dumps(bodies[wire] | more).encode()


def read(wire: str, body: bytes) -> ChatResponse:
    dialect, fold = chat.wire(wire), Fold()
    decoding = Reply(dialect, dialect.Quirks())
    for chunk in decoding.feed(body) + decoding.close():
        fold.add(chunk)
    return fold.response()


NAMES = {
    "anthropic": "input_tokens output_tokens cache_read_input_tokens cache_creation_input_tokens cost",
    "gemini": "promptTokenCount candidatesTokenCount thoughtsTokenCount totalTokenCount promptTokensDetails",
    "ollama": "prompt_eval_count eval_count",
    "openai": "prompt_tokens completion_tokens total_tokens prompt_tokens_details cost cost_in_usd_ticks",
    "responses": "input_tokens output_tokens input_tokens_details cost cost_in_usd_ticks",
}


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
@pytest.mark.parametrize("wire", NAMES)
def test_an_answer_is_not_lost_over_a_count_that_is_none(wire: str, odd: Any) -> None:
    answer = read(wire, reply(wire, dict.fromkeys(NAMES[wire].split(), odd)))
    assert (answer.text, answer.stop) == ("Hi", "stop")
    known = [value for name in COUNTS if (value := getattr(answer.usage, name)) is not None]
    assert all(value >= 0 for value in known)
    assert answer.usage.usd is None or answer.usage.usd.is_finite()


@pytest.mark.parametrize("wire", ["anthropic", "gemini", "openai", "responses"])
@pytest.mark.parametrize("odd", [[], "none", 5], ids=repr)
def test_usage_that_is_no_object_counts_nothing(wire: str, odd: Any) -> None:
    answer = read(wire, reply(wire, odd))
    assert (answer.text, answer.usage) == ("Hi", Usage())


IDS = {"anthropic": "id", "gemini": "responseId", "ollama": None, "openai": "id", "responses": "id"}
MODELS = {"gemini": "modelVersion"}


@pytest.mark.parametrize("odd", [5, True, None, [3], {"a": 3}, 1.5], ids=repr)
@pytest.mark.parametrize("wire", IDS)
def test_an_answer_is_not_lost_over_a_name_that_is_none(wire: str, odd: Any) -> None:
    names = {MODELS.get(wire, "model"): odd, **({IDS[wire]: odd} if IDS[wire] else {})}
    answer = read(wire, json.dumps(json.loads(reply(wire, {})) | names).encode())
    want = "5" if odd == 5 else None
    assert (answer.text, answer.model, answer.id) == ("Hi", want, want if IDS[wire] else None)


def test_media_that_are_no_text_are_garbled() -> None:
    for url in (5, ["a"], {"b": 1}):
        images = [{"b64_json": url}]
        body = {"choices": [{"message": {"content": "Hi", "images": images}, "finish_reason": "stop"}]}
        with pytest.raises(Garbled):
            read("openai", json.dumps(body).encode())


def test_sound_and_pictures_in_a_chat_are_told_apart_as_their_prices_are() -> None:
    told = {
        "prompt_tokens": 30,
        "completion_tokens": 40,
        "prompt_tokens_details": {"audio_tokens": 20, "image_tokens": 5, "cached_tokens": 0},
        "completion_tokens_details": {"audio_tokens": 35, "image_tokens": 0},
    }
    assert read("openai", reply("openai", told)).usage == Usage(
        input=30, output=40, cached=0, input_audio=20, input_image=5, output_audio=35
    )
    told = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 1290,
        "thoughtsTokenCount": 3,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}, {"modality": "AUDIO", "tokenCount": 6}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
    painted = Usage(input=17, output=1293, reasoning=3, input_audio=6, output_image=1290)
    assert read("gemini", reply("gemini", told)).usage == painted
    assert gemini_usage.usage(told) == painted  # of a picture that was asked for as one


def test_a_picture_is_counted_on_both_sides() -> None:
    usage = {
        "input_tokens": 50,
        "output_tokens": 100,
        "input_tokens_details": {"image_tokens": 40},
        "output_tokens_details": {"image_tokens": 90},
        "cost_in_usd_ticks": 25,
    }
    assert pictures._usage(usage) == Usage(
        input=50, output=100, input_image=40, output_image=90, usd=Decimal("0.0000000025")
    )


def test_counts_sums_and_money_are_what_was_written_or_unknown() -> None:
    assert [first(odd) for odd in ODD] == [None] * len(ODD)
    assert (first(None, "5", 3.0, 4), first(0, 4), first()) == (3, 0, None)
    assert (total(None, None), total(0, None), total(2, 3)) == (None, 0, 5)
    assert [amount(value) for value in (1.5, 0, -1, True, "1", float("inf"))] == [1.5, 0, None, None, None, None]
    assert [money(value) for value in (0.1, 3, -1, float("nan"))] == [Decimal("0.1"), Decimal(3), None, None]
    assert dollars({"cost": {"total_cost": 0.006}}) == Decimal("0.006")
    assert dollars({"cost": 0.1, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}}) == Decimal("0.3")
    nothing: list[Any] = [None, [], {}, {"cost": "1"}]
    assert [dollars(value) for value in nothing] == [None] * 4
