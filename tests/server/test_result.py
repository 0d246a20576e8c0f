"""An answer as hosts get it: what is told beside the words, in the text and as data."""

from __future__ import annotations

from mcp.types import TextContent

from mcp_llm.server.result import generated
from mcp_llm.types.result import Generated

FOUND = [{"title": "A", "url": "https://a.example", "snippet": "x" * 300}]
LIKELY = {"content": [{"token": "Hi", "logprob": -0.5}]}


def test_sources_are_in_the_text_and_what_was_found_and_how_likely_it_was_is_in_the_data() -> None:
    cited = ["https://a.example", "https://b.example"]
    answer = Generated(
        response="Hi [1][2]", model="m", run_id="r1", citations=cited, search_results=FOUND, logprobs=LIKELY
    )
    given = generated(answer)
    assert given.structured_content is not None
    assert [given.structured_content[name] for name in ("citations", "search_results", "logprobs")] == [
        cited,
        FOUND,
        LIKELY,
    ]
    (text,) = given.content
    assert isinstance(text, TextContent)
    assert text.text.split("\n\n")[:2] == ["Hi [1][2]", "Sources:\n[1] https://a.example\n[2] https://b.example"]


def test_what_is_told_beside_the_words_never_takes_more_room_than_is_left() -> None:
    answer = Generated(response="Hi", model="m", run_id="r1", search_results=FOUND, logprobs=LIKELY)
    data = generated(answer, 200).structured_content
    assert data is not None
    assert (data["search_results"], data["logprobs"]) == ("(359 characters in the run)", LIKELY)
    assert "citations" not in data
