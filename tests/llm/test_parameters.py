"""A request made fit for one model: what is filled in, what is dropped, what is refused before it costs anything."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_llm.catalog import load as catalog
from mcp_llm.errors import InvalidInput, Unsupported
from mcp_llm.llm import parameters
from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import Media, Text, ToolResult, user

TOOL = ToolSpec(name="look")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
HI = (user("hi"),)
PICTURE = Media("image/png", data="aGk=")


def fit(facts: dict[str, Any], learned: set[str] | None = None, /, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """What is changed, as `{field: new value}`, and the warnings."""
    table = {"base_url": "https://acme.invalid/v1", "rules": [{"match": ["m"], **facts}]}
    target = catalog.load(overrides={"acme": table}).find("acme:m")
    request = ChatRequest(**{"messages": HI, **fields})
    fitted, warnings = parameters.fit(request, target, learned or set())
    changed = {
        name: getattr(fitted, name)
        for name in ChatRequest.model_fields
        if getattr(fitted, name) != getattr(request, name)
    }
    return changed, warnings


REFUSED = "was not sent: acme:m does not take it"


@pytest.mark.parametrize(
    ("facts", "fields", "changed", "warnings"),
    [
        ({}, {"temperature": 0.5, "effort": "max", "max_tokens": 9}, {}, []),
        ({"refuses": ["temperature"]}, {}, {}, []),
        ({"refuses": ["temperature"]}, {"temperature": 0.5}, {"temperature": None}, [f"`temperature` {REFUSED}"]),
        ({"refuses": ["temperature"]}, {"temperature": 0}, {"temperature": None}, [f"`temperature` {REFUSED}"]),
        ({"refuses": ["seed"]}, {"seed": 0}, {"seed": None}, [f"`seed` {REFUSED}"]),
        ({"refuses": ["stop"]}, {"stop": ("x",)}, {"stop": ()}, [f"`stop` {REFUSED}"]),
        (
            {"refuses": ["top_p", "seed"]},
            {"seed": 1, "top_p": 0.1},
            {"seed": None, "top_p": None},
            [f"`seed` {REFUSED}", f"`top_p` {REFUSED}"],
        ),
        (
            {"refuses": ["parallel_tool_calls"]},
            {"parallel_tool_calls": False},
            {"parallel_tool_calls": None},
            [f"`parallel_tool_calls` {REFUSED}"],
        ),
        ({"defaults": {"max_tokens": 8192}}, {}, {"max_tokens": 8192}, []),
        ({"defaults": {"max_tokens": 8192}}, {"max_tokens": 5}, {}, []),
        ({"defaults": {"temperature": 1.0}}, {"temperature": 0.0}, {}, []),
        ({"defaults": {"stop": ["x"]}}, {}, {"stop": ("x",)}, []),
        ({"extra": {"a": 1, "b": 1}}, {"options": {"b": 2}}, {"options": {"a": 1, "b": 2}}, []),
        (
            {"output": 100},
            {"max_tokens": 101},
            {"max_tokens": 100},
            ["`max_tokens` was lowered to 100, the most acme:m writes"],
        ),
        ({"output": 100}, {"max_tokens": 2**63}, {"max_tokens": 100}, None),
        ({"output": 100}, {"max_tokens": 100}, {}, []),
        (
            {"efforts": ["low", "high"]},
            {"effort": "max"},
            {"effort": "high"},
            ["`effort` 'max' is not offered by acme:m: 'high' was sent"],
        ),
        ({"efforts": ["low", "high"]}, {"effort": "none"}, {"effort": "low"}, None),
        ({"efforts": ["low", "high"]}, {"effort": "medium"}, {"effort": "low"}, None),
        ({"efforts": ["low", "high"]}, {"effort": "high"}, {}, []),
        ({"efforts": []}, {"effort": "high"}, {"effort": None}, None),
        (
            {"sampling_needs_effort_none": True, "default_effort": "none"},
            {"temperature": 0.5},
            {},
            [],
        ),
        (
            {"sampling_needs_effort_none": True, "default_effort": "medium"},
            {"temperature": 0.0, "seed": 1},
            {"temperature": None},
            ["`temperature` was not sent: acme:m takes it only with effort 'none'"],
        ),
        ({"sampling_needs_effort_none": True}, {"temperature": 0.5, "effort": "none"}, {}, []),
        (
            {"forced_tools": False},
            {"tools": (TOOL,), "tool_choice": "required", "system": "Be brief."},
            {"tool_choice": "auto", "system": "Be brief.\n\nAnswer by calling one of the tools."},
            ["`tool_choice` cannot be forced on acme:m: asked for in words instead"],
        ),
        (
            {"forced_tools": False},
            {"tools": (TOOL,), "tool_choice": "look"},
            {"tool_choice": "auto", "system": "Answer by calling the tool `look`."},
            None,
        ),
        ({"forced_tools": False}, {"tools": (TOOL,), "tool_choice": "none"}, {}, []),
        ({"sampling": {"temperature": [0, 2]}}, {"temperature": 2}, {}, []),
        ({"reads": ["image"]}, {"messages": (user(PICTURE),)}, {}, []),
    ],
)
def test_a_request_is_made_fit(
    facts: dict[str, Any], fields: dict[str, Any], changed: dict[str, Any], warnings: list[str] | None
) -> None:
    found, told = fit(facts, **fields)
    assert found == changed
    assert told == warnings if warnings is not None else len(told) == 1


def test_what_was_learned_is_dropped_like_what_is_declared() -> None:
    assert fit({}, {"temperature", "stream_options"}, temperature=0.0) == (
        {"temperature": None},
        [f"`temperature` {REFUSED}"],
    )


@pytest.mark.parametrize("how", [{"refuses": ["json_schema"]}, {}])
def test_a_schema_that_is_not_taken_is_asked_for_in_words(how: dict[str, Any]) -> None:
    changed, warnings = fit(how, set() if how else {"json_schema"}, json_schema=SCHEMA, system="Be brief.")
    assert set(changed) == {"json_schema", "json_output", "system"}
    assert (changed["json_schema"], changed["json_output"], warnings) == (None, True, [])
    assert changed["system"].startswith("Be brief.\n\n")
    assert '"integer"' in changed["system"]


@pytest.mark.parametrize(
    ("facts", "fields", "error", "words"),
    [
        ({"reads": []}, {"messages": (user(PICTURE),)}, Unsupported, "acme:m cannot read images; it reads text."),
        (
            {"reads": ["image"]},
            {"messages": (user(ToolResult("1", "t", (Text("x"), Media("application/pdf", data="x")))),)},
            Unsupported,
            "cannot read PDF files; it reads text, image.",
        ),
        ({"reads": []}, {"messages": (user(Media("text/csv", data="x")),)}, Unsupported, "files of type text/csv"),
        ({"can": ["json"]}, {"tools": (TOOL,)}, Unsupported, "acme:m cannot call tools."),
        ({"sampling": {"temperature": [0, 1]}}, {"temperature": 1.5}, InvalidInput, "acme:m takes 0 to 1"),
    ],
)
def test_what_cannot_be_left_out_is_refused_before_the_call(
    facts: dict[str, Any], fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        fit(facts, **fields)
    assert words in str(caught.value)


def test_tokens_are_guessed_from_everything_that_is_sent() -> None:
    empty = parameters.estimate_tokens(ChatRequest(messages=()))
    assert empty == 1
    long = ChatRequest(messages=(user("x" * 4000),), system="y" * 400)
    assert parameters.estimate_tokens(long) == 1100 + 3 + 1
    assert parameters.estimate_tokens(ChatRequest(messages=(user(PICTURE),))) >= 1000
    assert parameters.estimate_tokens(ChatRequest(messages=HI, tools=(TOOL,))) > parameters.estimate_tokens(
        ChatRequest(messages=HI)
    )
