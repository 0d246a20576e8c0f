"""References in values: what they keep, what they refuse, and that what was filled in is never read again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.errors import TooLarge, UnknownReference
from mcp_llm.workflow.template import MOST, Filling, Reference, look, references, scan

RESULTS: dict[str, Any] = {
    "a": {
        "response": "hello",
        "items": [{"n": 1}, {"n": 2}],
        "ok": True,
        "none": None,
        "half": 0.5,
        "deep": {"x-y": "z"},
    },
    "inputs": {"topic": "${a.response}"},
}


def fill(value: Any) -> Any:
    return Filling(lambda one: look(one, RESULTS[one.root])).fill(value)


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("${a.items}", [{"n": 1}, {"n": 2}]),
        ("${a.items[1].n}", 2),
        ("${a.ok}", True),
        ("${a.none}", None),
        ("${a}", RESULTS["a"]),
        ("${a.deep.x-y}", "z"),
        ("say ${a.response}!", "say hello!"),
        ("${a.response}${a.response}", "hellohello"),
        ("${a.items[0]} and ${a.ok}", '{"n": 1} and true'),
        ("no reference, $ and { and }", "no reference, $ and { and }"),
        ("$${HOME} costs $5", "${HOME} costs $5"),
        ("$$${a.ok}", "$${a.ok}"),
        ("${inputs.topic} stays", "${a.response} stays"),
        ({"k": ["${a.half}", {"x": "${a.response}"}], "n": 3}, {"k": [0.5, {"x": "hello"}], "n": 3}),
    ],
)
def test_a_whole_reference_keeps_its_type_and_within_text_it_is_text_or_json(value: Any, filled: Any) -> None:
    assert fill(value) == filled


@pytest.mark.parametrize(
    "text",
    [
        *("${", "${}", "${a", "x ${a b}", "${.a}", "${a.}", "${a..b}", "${a[}", "${a[]}", "${a[x]}", "${a['k']}"),
        *("${a[-1]}", "${a[1.5]}", "${a | upper}", "${a.b()}", "${a:-x}", "${__import__('os')}", "${1a}", "${a.b c}"),
        *("${ a }", "${a}}${", "${a.items[12345678901]}", "${" + "a" * 300 + "}"),
    ],
)
def test_whatever_else_begins_like_a_reference_is_refused_with_the_fix(text: str) -> None:
    with pytest.raises(UnknownReference, match=r"is no reference: write \$\{task.field\[0\]\}, or \$\$\{"):
        scan(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${a.respons}", r"\$\{a\} has no field 'respons'; it has response, items, ok, none, half, deep"),
        ("${a.items[2]}", r"\$\{a.items\[2\]\} is not there: \$\{a.items\} is a list of 2"),
        ("${a.items.n}", r"\$\{a.items\} is a list of 2"),
        ("${a.response.text}", r"\$\{a.response\} is text; ask for `json_schema`"),
        ("${a.ok.x}", r"\$\{a.ok\} is a boolean"),
        ("${a.response[0]}", r"\$\{a.response\} is text"),
        ("${a.__class__}", "has no field '__class__'"),
    ],
)
def test_a_step_that_is_not_there_is_named_with_what_there_is(text: str, words: str) -> None:
    with pytest.raises(UnknownReference, match=words):
        fill(text)


def test_what_is_filled_in_is_capped_before_it_is_written() -> None:
    half = "x" * (MOST // 2)
    filling = Filling(lambda _: half)
    assert len(filling.fill("${a}${a}")) == MOST
    with pytest.raises(TooLarge):
        Filling(lambda _: half).fill("${a}${a}.")
    with pytest.raises(TooLarge):
        Filling(lambda _: [half] * 3).fill({"x": "${a}"})
    with pytest.raises(TooLarge):
        Filling(lambda _: [[half]] * 3).fill("as text: ${a}")


NAMES = st.from_regex(r"[a-z_][a-z0-9_-]{0,8}", fullmatch=True)
REFERENCES = st.builds(
    lambda root, path: Reference(root, tuple(path)), NAMES, st.lists(NAMES | st.integers(0, 999), max_size=5)
)


@given(st.lists(REFERENCES | st.text().filter(lambda text: "$" not in text), max_size=8))
def test_what_is_written_is_scanned_back(pieces: list[str | Reference]) -> None:
    text = "".join(str(piece) for piece in pieces)
    assert list(references(text)) == [piece for piece in pieces if isinstance(piece, Reference)]


@given(st.text(alphabet="${}ab.[]0 "))
def test_any_text_is_scanned_or_refused_and_nothing_is_lost(text: str) -> None:
    try:
        pieces = scan(text)
    except UnknownReference:
        return
    assert "".join(piece.replace("${", "$${") if isinstance(piece, str) else str(piece) for piece in pieces) == text
