"""A result in the two forms hosts show: the same full answer as text with its receipt and as structured content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp.types import CallToolResult, ResourceLink, TextContent

from mcp_llm.wires import sources

if TYPE_CHECKING:
    from mcp_llm.runs.detach import Running
    from mcp_llm.types.result import Generated

SHOWN: Final = 60_000
"""Characters of an answer in one reply, about 15,000 tokens: the strictest host seen cuts at 25,000."""
PARTIAL_SHOWN: Final = 4000
"""Characters of an answer that is still coming: its end is what is new."""
ASIDE: Final = ("citations", "search_results", "logprobs")
"""What may be longer than the answer itself: it goes along where both fit."""
THINKING_SHOWN: Final = 2000
"""Characters of reasoning in structured content: the run keeps all of it, the host's context should not."""


def generated(result: Generated, shown: int = SHOWN) -> CallToolResult:
    """An answer: the words first, what it wants called, then the receipt and what was noticed on the way.

    At most `shown` characters of the words; the rest is read from the run.
    """
    data = result.model_dump(mode="json", exclude_none=True)
    data["cost"].setdefault("usd", None)
    if not result.fallbacks:
        data.pop("fallbacks")
    if not result.warnings:
        data.pop("warnings")
    if result.thinking and len(result.thinking) > THINKING_SHOWN:
        data["thinking"] = result.thinking[:THINKING_SHOWN] + f"... ({len(result.thinking):,} characters in the run)"
    room = shown - len(result.response)
    for name in ASIDE:
        if name in data:
            size = len(json.dumps(data[name], ensure_ascii=False))
            if size > room:
                data[name] = f"({size:,} characters in the run)"
            else:
                room -= size
    blocks = [result.response] if result.response else []
    links: list[ResourceLink] = []
    if len(result.response) > shown:
        call = f'runs(action="read", run_id="{result.run_id}", offset={shown})'
        more = f"[the first {shown:,} of {len(result.response):,} characters; the rest: {call}]"
        data["response"] = f"{result.response[:shown]}\n\n{more}"
        data.pop("parsed", None)
        blocks = [data["response"]]
        links.append(link(result.run_id, shown, len(result.response)))
    blocks += [
        f"wants {call.name}({json.dumps(call.arguments, ensure_ascii=False)}) [id {call.id}]"
        for call in result.tool_calls or ()
    ]
    if cited := sources.lines(result.citations):
        blocks.append("\n".join(cited))
    blocks.append(f"[{result.receipt}]")
    blocks += [f"[fell back: {one.provider}:{one.model} {one.error}: {one.message[:200]}]" for one in result.fallbacks]
    blocks += [f"[note: {words}]" for words in result.warnings]
    return CallToolResult(content=[TextContent(type="text", text="\n\n".join(blocks)), *links], structured_content=data)


def running(run: Running) -> CallToolResult:
    """A call that goes on: what there is so far, and how to get the rest."""
    how = f'runs(action="wait", run_id="{run.run_id}")'
    return _unfinished(run.run_id, "running", run.partial, f"[still running, nothing is lost: {how} for the answer]")


def waiting(run_id: str, partial: str, questions: dict[str, dict[str, Any]]) -> CallToolResult:
    """A run that asks something."""
    asked = "; ".join(f"{name}: {json.dumps(one, ensure_ascii=False)}" for name, one in questions.items())
    how = f'runs(action="answer", run_id="{run_id}", answer=...)'
    given = _unfinished(run_id, "waiting", partial, f"[the run waits for an answer: {how}. It asks {asked}]")
    assert given.structured_content is not None
    given.structured_content["questions"] = [{"id": name, **one} for name, one in questions.items()]
    return given


def interrupted(run_id: str, partial: str) -> CallToolResult:
    """A run whose process is gone."""
    how = f'runs(action="resume", run_id="{run_id}")'
    return _unfinished(run_id, "interrupted", partial, f"[interrupted, its process ended: {how} goes on with it]")


def _unfinished(run_id: str, status: str, partial: str, words: str) -> CallToolResult:
    shown = partial if len(partial) <= PARTIAL_SHOWN else f"... {partial[-PARTIAL_SHOWN:]}"
    text = f"{shown}\n\n{words}" if shown else words
    return plain(text, {"status": status, "run_id": run_id, "partial": shown, "next": words[1:-1]})


def plain(text: str, data: dict[str, Any], *links: ResourceLink) -> CallToolResult:
    """Anything else: a text a person can read and the same as data; links to what did not fit."""
    return CallToolResult(content=[TextContent(type="text", text=text), *links], structured_content=data)


def link(run_id: str, offset: int = 0, size: int | None = None) -> ResourceLink:
    """Where a run's words are read from a character on; `size` is about how many bytes the whole has."""
    uri = f"runs://{run_id}?offset={offset}" if offset else f"runs://{run_id}"
    return ResourceLink(type="resource_link", uri=uri, name=f"run {run_id}", mime_type="text/plain", size=size)
