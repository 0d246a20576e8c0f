"""A stored run as a tool's result: what the call that began it would have given, or what there is so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError

from mcp_llm.runs.detach import Running
from mcp_llm.runs.texts import cut
from mcp_llm.runs.words import said
from mcp_llm.types.message import Value

from . import result as results

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from mcp_llm.app import App
    from mcp_llm.runs.store import RunInfo
    from mcp_llm.runs.texts import Page

T = TypeVar("T", bound=Value)

WORKFLOW: Final = "workflow"
"""The field by which a workflow's result is known."""
SMALL: Final = 4000
"""Characters of a field that is shown beside a page."""


async def shown(app: App, info: RunInfo, most: int) -> CallToolResult:
    """A run as it stands, in about `most` characters."""
    if answered(info):
        given = await finished(app, info, most)
        data = {"status": info.status, **(given.structured_content or {})}
        return given.model_copy(update={"structured_content": data})
    if info.status in {"failed", "cancelled"}:
        return ended(info, most)
    partial = await app.journals.partial(info.id)
    if info.status == "waiting":
        asked = [one for one in await app.journals.questions(info.id) if one.open]
        return results.waiting(info.id, partial, {one.id: one.question for one in asked})
    if info.status == "interrupted":
        return results.interrupted(info.id, partial)
    return results.running(Running(info.id, partial))


def answered(info: RunInfo) -> bool:
    """Whether it has a result; a workflow that failed has one too."""
    return info.status == "finished" or WORKFLOW in info.result


async def finished(app: App, info: RunInfo, most: int) -> CallToolResult:
    """The answer as its tool gives it; of a kind unknown here, its words page by page."""
    from mcp_llm.agent.task import AgentResult
    from mcp_llm.compare import table
    from mcp_llm.compare.result import Compared
    from mcp_llm.types.media import Made
    from mcp_llm.types.result import Generated

    from . import compared as comparisons
    from . import made, worked

    try:
        if info.kind in made.KINDS:
            given = made.told(_read(Made, info.result), most)
            small = {key: value for key, value in info.result.items() if len(str(value)) <= SMALL}
            data = {**small, **(given.structured_content or {})}
            return given.model_copy(update={"structured_content": data})
        if WORKFLOW in info.result:
            from mcp_llm.workflow.schema import WorkflowResult

            return worked.shown(_read(WorkflowResult, info.result), most)
        if "stop_reason" in info.result:
            return results.generated(_read(AgentResult, info.result), most)
        if "results" in info.result:
            compared = _read(Compared, info.result)
            table_only = {"response": table.summary(compared)}  # what is kept has the answers in it
            return comparisons.shown(compared.model_copy(update=table_only), most)
        return results.generated(_read(Generated, info.result), most)
    except ValidationError:
        return page(info.id, info.status, cut(await said(app.journals, info), 0, most), info.result)


def _read(kind: type[T], stored: dict[str, Any]) -> T:
    """The value; what the journal adds for every kind of run is left out."""
    return kind.model_validate({name: value for name, value in stored.items() if name in kind.model_fields})


def ended(info: RunInfo, most: int) -> CallToolResult:
    """Why a run came to nothing, and what had arrived by then."""
    error = str(info.result.get("error") or info.status)
    data = {"run_id": info.id, "status": info.status, "error": error}
    text = f"run {info.id} {info.status}: {error}"
    if partial := str(info.result.get("partial") or ""):
        data["partial"] = partial[: most // 2]
        text += f"\n\nwhat had arrived:\n{data['partial']}"
    return results.plain(text, data)


def page(run_id: str, status: str, found: Page, more: dict[str, Any] | None = None) -> CallToolResult:
    """A page of a text, and where the next one begins."""
    small = {key: value for key, value in (more or {}).items() if key != "response" and len(str(value)) <= SMALL}
    data: dict[str, Any] = {"run_id": run_id, "status": status, "response": found.text, **small}
    if not found.more:
        return results.plain(found.text, data)
    data["next_offset"] = found.end
    how = f'runs(action="read", run_id="{run_id}", offset={found.end})'
    text = f"{found.text}\n\n[{found.total - found.end:,} more characters: {how}]"
    return results.plain(text, data, results.link(run_id, found.end))
