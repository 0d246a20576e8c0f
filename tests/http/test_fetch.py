"""What is fetched from the open internet: what a server says of a range is only words of its own."""

from __future__ import annotations

import pytest

from mcp_llm.http.fetch import NoMore


@pytest.mark.parametrize(
    ("told", "total"), [("bytes */12", 12), ("bytes */*", None), ("bytes */\u00b2", None), (f"*/{'9' * 5000}", None)]
)
def test_the_length_of_a_file_is_a_number_or_unknown(told: str, total: int | None) -> None:
    assert NoMore("hub.invalid", {"content-range": told}).total == total
