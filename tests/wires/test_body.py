"""The caller's options over a request body."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.wires.body import merge

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


def test_objects_are_joined_and_everything_else_is_replaced() -> None:
    body = {"text": {"format": {"type": "text"}, "verbosity": "low"}, "include": ["a"], "store": False}
    options = {"text": {"verbosity": "high"}, "include": ["b"], "store": None, "user": "me"}
    assert merge(body, options) == {
        "text": {"format": {"type": "text"}, "verbosity": "high"},
        "include": ["b"],
        "store": None,
        "user": "me",
    }


@given(bodies, bodies)
def test_neither_side_is_changed_and_the_options_have_the_last_word(
    body: dict[str, object], options: dict[str, object]
) -> None:
    before = deepcopy((body, options))
    merged = merge(body, options)
    assert (body, options) == before
    assert merge(merged, options) == merged
    assert merged.keys() == body.keys() | options.keys()


@given(bodies)
def test_no_options_are_no_change(body: dict[str, object]) -> None:
    assert merge(body, {}) == body
    assert merge({}, body) == body
