"""Errors speak of tools and arguments; on the command line the same is said as commands and flags."""

from __future__ import annotations

from typing import Final

SPOKEN: Final = (
    ("`list_models`", "`mcp-llm models`"),
    ("list_models", "`mcp-llm models`"),
    ("model='demo'", "-m demo"),
    ('thread="new"', "--thread new"),
    ("`model`", "--model"),
    ("`models`", "-m (once for each model)"),
    ("`samples`", "--samples"),
    ("`thread`", "--thread"),
    ("`live`", "--live"),
    ("`max_tokens`", "--max-tokens"),
    ("`json_schema`", "--schema"),
    ("`budget_usd`", "--budget-usd"),
    ("`timeout_s`", "--timeout"),
    ("`files`", "--file"),
)


def spoken(text: str) -> str:
    """The text in the words of the command line."""
    for theirs, ours in SPOKEN:
        text = text.replace(theirs, ours)
    return text
