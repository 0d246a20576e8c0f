"""The access log: one line a request that nobody can forge, and callers that do not wait for who reads it."""

from __future__ import annotations

import re
import tracemalloc
from typing import Any

import pytest
from server.http.talking import call

from mcp_llm.server.http.log import plain

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("/mcp", "/mcp"),
        ("a b", r"a\x20b"),
        ("a\nb", r"a\x0ab"),
        ("\x1b[31m", r"\x1b[31m"),
        ("é\u202e", r"\xe9\u202e"),
        ("", ""),
        ("x" * 100, "x" * 60),
    ],
)
def test_what_came_from_outside_is_one_printable_word(words: str, shown: str) -> None:
    assert plain(words) == shown


def test_of_long_names_no_more_is_remembered_than_is_shown() -> None:
    tracemalloc.start()
    for number in range(200):
        plain("/" + "x" * 60_000 + str(number))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1_000_000


async def test_each_request_has_one_line_without_query_and_arguments(
    served: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served() as server:
        await server.post(call("generate", {"prompt": "between us", "model": "demo"}), path="/mcp?a=private")
        await server.ask("/no%0Asuch%20thing?b=private")
        await server.ask("/health", host="evil.com")
    lines = capsys.readouterr().err.splitlines()
    shape = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (.+) \d+ms")
    assert [found[1] for line in lines if (found := shape.fullmatch(line))] == [
        "POST /mcp tools/call local 200",
        r"GET /no\x0asuch\x20thing - - 404",
        "GET /health - - 421",
    ]
    assert "private" not in str(lines)
    assert "between us" not in str(lines)
