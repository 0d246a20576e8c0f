"""What a server says about its tools, before anything else reads it."""

from __future__ import annotations

import pytest

from mcp_llm.toolsets.listing import DIALECT, listing


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"$schema": DIALECT}, {"$schema": DIALECT}),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, {}),
        ({"$id": "https://example.com/tool"}, {}),
    ],
)
def test_a_schema_names_the_draft_that_it_is_in(given: dict[str, str], kept: dict[str, str]) -> None:
    found = listing([{"name": "look", "inputSchema": {**given, "type": "object"}}])
    assert (found.notes, found.tools) == ([], [{"name": "look", "inputSchema": {**kept, "type": "object"}}])


def test_a_schema_inside_a_schema_names_no_draft() -> None:
    inner = {"$schema": DIALECT, "type": "string"}
    found = listing([{"name": "look", "inputSchema": {"type": "object", "properties": {"where": inner}}}])
    assert found.tools[0]["inputSchema"] == {"type": "object", "properties": {"where": {"type": "string"}}}
