"""What a server says about its tools, before anything else reads it."""

from __future__ import annotations

import pytest

from mcp_llm.toolsets.listing import DIALECT, Listing, listing


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


HIDDEN = "\U000e0041\U000e0042\u202e"


def test_nothing_is_hidden_in_the_values_of_a_schema() -> None:
    def schema(hidden: str) -> dict[str, object]:
        words = {"default": f"d{hidden}", "enum": [f"e{hidden}", 1], "examples": [{"f": f"g{hidden}"}]}
        return {"type": "object", "properties": {"a": {"type": "string", **words}}, "x-note": f"n{hidden}"}

    assert listing([{"name": "look", "inputSchema": schema(HIDDEN)}]) == Listing(
        [{"name": "look", "inputSchema": schema("")}]
    )


def test_a_tool_with_a_parameter_whose_name_hides_something_is_left_out() -> None:
    given = {"type": "object", "properties": {f"a{HIDDEN}": {"type": "string"}}}
    assert listing([{"name": "look", "inputSchema": given}]) == Listing(
        notes=["The tool 'look' was left out: a name in its schema has characters that nobody can see."]
    )
