"""What a person reads: lines no wider than the terminal, money without exponents."""

from __future__ import annotations

import pytest

from mcp_llm.cli.terminal import fold
from mcp_llm.types.result import dollars


def test_long_lines_end_with_a_word_and_short_ones_stay() -> None:
    text = "one two  three\n" + "word " * 12
    assert fold(text, None) == text
    assert fold(text, 40, indent="  ").split("\n") == [
        "one two  three",
        "word word word word word word word word",
        "  word word word word",
    ]


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (0.0, "$0"),
        (0.5, "$0.50"),
        (0.000005, "$0.000005"),
        (0.0123, "$0.0123"),
        (1234.5, "$1,234.50"),
        (1.5e-7, "$0.00000015"),
    ],
)
def test_money_has_cents_and_no_exponent(usd: float, shown: str) -> None:
    assert dollars(usd) == shown
