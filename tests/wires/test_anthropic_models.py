"""What Anthropic says of its models, and its token counts."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import user
from mcp_llm.wires.base import HttpRequest, ModelInfo
from mcp_llm.wires.chat import anthropic as chat
from mcp_llm.wires.models import anthropic as models
from mcp_llm.wires.tokens import anthropic as tokens

YES, NO = {"supported": True}, {"supported": False}
ITEM: dict[str, Any] = {
    "type": "model",
    "id": "claude-x",
    "display_name": "Claude X",
    "lifecycle": "deprecated",
    "retires_at": "2027-01-01T00:00:00Z",
    "max_input_tokens": 1000000,
    "max_tokens": 128000,
    "capabilities": {
        "batch": YES,
        "image_input": YES,
        "pdf_input": NO,
        "structured_outputs": YES,
        "thinking": {**NO, "types": {}},
        "server_tools": {**YES, "web_search": YES},
    },
}
REQUEST = ChatRequest(messages=(user("Hi"),), system="s", tools=(ToolSpec(name="now"),), stop=("END",), temperature=1.0)


def test_the_list_is_asked_for_page_by_page() -> None:
    version = {"anthropic-version": "2026-10-21"}
    assert models.encode(None, models.Quirks()) == HttpRequest(
        method="GET", path="/v1/models", query={"limit": "1000"}, headers=version
    )
    assert models.encode("claude-x", models.Quirks(version=None, page_size=5)) == HttpRequest(
        method="GET", path="/v1/models", query={"limit": "5", "after_id": "claude-x"}
    )


def test_models_are_read_with_limits_and_abilities() -> None:
    plain = {"type": "model", "id": "claude-y", "display_name": "Claude Y"}
    retired = {**ITEM, "id": "claude-0", "lifecycle": "retired"}
    assert models.decode({"data": [ITEM, plain, retired], "has_more": True, "last_id": "claude-0"}) == (
        [
            ModelInfo(
                "claude-x",
                name="Claude X",
                context=1000000,
                output=128000,
                can=("streaming", "tools", "json", "batch", "search"),
                reads=("image",),
                retires="2027-01-01T00:00:00Z",
            ),
            ModelInfo("claude-y", name="Claude Y"),
        ],
        "claude-0",
    )


def test_the_last_page_has_no_next_one() -> None:
    assert models.decode({"data": [], "has_more": False, "last_id": "claude-x"}) == ([], None)
    assert models.decode({"data": []}) == ([], None)


def test_tokens_are_counted_of_the_request_less_what_is_not_counted() -> None:
    quirks = tokens.Quirks(sampling_version="2023-06-01")
    request = REQUEST.model_copy(update={"options": {"service_tier": "auto", "cache_control": {"type": "ephemeral"}}})
    assert tokens.encode(request, "claude-x", quirks) == HttpRequest(
        method="POST",
        path="/v1/messages/count_tokens",
        json={
            "model": "claude-x",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            "system": "s",
            "tools": [{"name": "now", "input_schema": {"type": "object", "properties": {}}}],
            "cache_control": {"type": "ephemeral"},
        },
        headers={"anthropic-version": "2026-10-21"},
    )


def test_vertex_counts_under_a_path_of_its_own() -> None:
    path = "/publishers/anthropic/models/count-tokens:rawPredict"
    found = tokens.encode(REQUEST, "claude-x", tokens.Quirks(version_in_body=True, count_path=path))
    body = found.json or {}
    assert (found.path, found.headers, body["model"]) == (path, {}, "claude-x")
    assert body["anthropic_version"] == "2026-10-21"


def test_the_chat_wires_quirks_do_for_counting() -> None:
    assert tokens.encode(REQUEST, "claude-x", chat.Quirks(version=None)).headers == {}


def test_counts_are_read() -> None:
    assert tokens.decode({"input_tokens": 43}) == 43
    with pytest.raises(TypeError):
        tokens.decode({"input_tokens": "43"})
    with pytest.raises(KeyError):
        tokens.decode({})
