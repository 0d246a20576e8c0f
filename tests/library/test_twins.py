"""The public functions that are made of others: what they take, what they are, and that they say it."""

from __future__ import annotations

import inspect

import pytest

import mcp_llm

PAIRS = ["generate", "generate_result", "count_tokens", "compare_models", "embed", "generate_image", "transcribe"]
PAIRS += ["speak", "generate_video"]


@pytest.mark.parametrize("name", PAIRS)
def test_both_forms_of_a_function_take_the_same_and_only_one_is_awaited(name: str) -> None:
    plain, awaited = getattr(mcp_llm, name), getattr(mcp_llm, f"a{name}")
    assert inspect.signature(plain) == inspect.signature(awaited)
    assert (inspect.iscoroutinefunction(plain), inspect.iscoroutinefunction(awaited)) == (False, True)
    assert (plain.__name__, awaited.__name__, plain.__module__) == (name, f"a{name}", "mcp_llm")
    assert "works inside a running event loop too" in plain.__doc__


def test_an_operation_shows_its_arguments_without_the_service_that_it_runs_on() -> None:
    names = list(inspect.signature(mcp_llm.embed).parameters)
    assert names == ["input", "dimensions", "input_type", "truncate", "continue_from", "keep", "call"]


def test_what_gives_only_the_text_takes_what_the_whole_result_takes() -> None:
    whole = inspect.signature(mcp_llm.agenerate_result)
    for name, gives in (("agenerate", "str"), ("acount_tokens", "TokenCount"), ("stream", "Stream")):
        assert inspect.signature(getattr(mcp_llm, name)) == whole.replace(return_annotation=gives)


def test_a_typing_mistake_is_told_and_does_not_pass_unseen() -> None:
    with pytest.raises(mcp_llm.Error, match="no argument `modle`; did you mean `model`"):
        mcp_llm.embed("x", modle="demo")  # type: ignore[call-arg]
