"""Conversations as callers write them: whatever stands in a place, the error names the place."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_llm.errors import InvalidInput
from mcp_llm.llm.conversation import messages


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        ("hi", r"messages\[0\] is a str"),
        ({"role": []}, r"messages\[0\]\.role is \[\]"),
        ({"role": "user"}, r"messages\[0\] has no `content`"),
        ({"role": "user", "text": "hi"}, r"messages\[0\] has no `content`"),
        (
            {"role": "user", "content": [{"type": "text", "content": "hi"}]},
            r"messages\[0\]\[0\] is a part of text without",
        ),
        (
            {"role": "user", "content": [{"type": "text", "text": None}]},
            r"messages\[0\]\[0\] is a part of text without",
        ),
        ({"role": "user", "content": 5}, r"messages\[0\] has to be text or a list of parts"),
        ({"role": "user", "content": [{"type": {}}]}, r"messages\[0\]\[0\]\.type is \{\}"),
        ({"role": "assistant", "tool_calls": 5}, r"messages\[0\]\.tool_calls is a int"),
        (
            {"role": "assistant", "tool_calls": [{"name": "x", "arguments": {1}}]},
            r"messages\[0\]\.tool_calls\[0\]\.arguments cannot be written as JSON",
        ),
    ],
)
def test_what_is_of_another_type_is_told_with_its_place(turn: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        messages([turn])
