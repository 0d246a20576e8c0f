"""The extension `io.modelcontextprotocol/tasks`: a call that takes long is handed out as a task, which is its run.

Nothing is kept here: a task's id is its run's, its state is read from the run store, so it outlives the process. A
client that does not declare the extension, and every client of the handshake era, gets what it got before.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mcp import MCPError
from mcp.server.extension import Extension, MethodBinding
from mcp.types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolResult,
    CreateMessageResult,
    ElicitResult,
    RequestParams,
)
from pydantic import ValidationError

from mcp_llm.errors import Error, InvalidInput
from mcp_llm.hosts.known import host

from . import asking, declared, kept
from . import result as results
from .declared import MODERN, TASKS
from .principal import current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp.server.session import ServerSession
    from mcp.types import CallToolRequestParams

    from mcp_llm.app import App
    from mcp_llm.runs.store import RunInfo

MISSING: Final = -32021
"""JSON-RPC error: missing required client capability."""
POLL_MS: Final = 1000
LIVE: Final = frozenset({"running", "waiting"})


def missing() -> MCPError:
    """The refusal for a client that did not declare the extension."""
    data: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    return MCPError(MISSING, f"declare the extension {TASKS} to use tasks", data)


class TaskParams(RequestParams):
    """Which task."""

    task_id: str


class UpdateParams(TaskParams):
    """Answers to a task's questions, by their keys."""

    input_responses: dict[str, Any]


class Tasks(Extension):
    """Give it to the server."""

    identifier = TASKS

    def methods(self) -> Sequence[MethodBinding]:
        """`tasks/get`, `tasks/update`, `tasks/cancel`."""
        return (
            MethodBinding("tasks/get", TaskParams, _get, MODERN),
            MethodBinding("tasks/update", UpdateParams, _update, MODERN),
            MethodBinding("tasks/cancel", TaskParams, _cancel, MODERN),
        )

    async def intercept_tool_call(self, params: CallToolRequestParams, ctx: Any, call_next: Any) -> Any:
        """The task instead of a result that says that the run goes on; whoever asks `runs` for it gets what it says."""
        given = await call_next(ctx)
        data: dict[str, Any] | None = given.structured_content if isinstance(given, CallToolResult) else None
        if data is None or data.get("status") not in LIVE or params.name == "runs" or not declared.tasks(ctx.session):
            return given
        info = await _found(ctx.lifespan_context.service, str(data.get("run_id")))
        return {"resultType": "task", **_head(info, "input_required" if info.status == "waiting" else "working")}


async def _get(ctx: Any, params: TaskParams) -> dict[str, Any]:
    app, info = await _asked(ctx, params)
    desk = ctx.lifespan_context.desks.get(info.id)
    capabilities = ctx.session.client_capabilities
    if info.status in LIVE and desk is not None and desk.open and capabilities and capabilities.sampling is not None:
        requests = {key: _dumped(one.request) for key, one in desk.open.items()}
        return {**_head(info, "input_required"), "inputRequests": requests}
    return await _state(app, info, ctx.session)


async def _update(ctx: Any, params: UpdateParams) -> dict[str, Any]:
    app, info = await _asked(ctx, params)
    desk = ctx.lifespan_context.desks.get(info.id)
    for key in params.input_responses.keys() & desk.open.keys() if desk is not None else ():
        try:
            desk.bring({key: CreateMessageResult.model_validate(params.input_responses[key])})
        except ValidationError:
            raise MCPError(INVALID_PARAMS, f"the response to {key!r} is no sampling result") from None
    for question in await app.journals.questions(info.id):
        if not question.open or question.id not in params.input_responses:
            continue
        try:
            answer = asking.approved(ElicitResult.model_validate(params.input_responses[question.id]))
            await app.journals.answer(info.id, info.principal, answer, question.id)
        except ValidationError:
            raise MCPError(INVALID_PARAMS, f"the response to {question.id!r} is no elicitation result") from None
        except InvalidInput:  # answered elsewhere, or its deadline passed, this moment
            continue
    return {}


async def _cancel(ctx: Any, params: TaskParams) -> dict[str, Any]:
    app, info = await _asked(ctx, params)
    try:
        await app.resumers.cancel(app.journals, info.id, info.principal)
    except Error as exc:
        raise MCPError(INTERNAL_ERROR, str(exc)) from None
    return {}


async def _asked(ctx: Any, params: TaskParams) -> tuple[App, RunInfo]:
    if not declared.tasks(ctx.session):
        raise missing()
    headers = getattr(ctx.request, "headers", None)  # over HTTP only
    if headers is not None and headers.get("mcp-name", "").strip() != params.task_id:
        raise MCPError(HEADER_MISMATCH, "the header Mcp-Name has to be the task's id, so that it can be routed by it")
    app: App = ctx.lifespan_context.service
    return app, await _found(app, params.task_id)


async def _found(app: App, run_id: str) -> RunInfo:
    try:
        return await app.journals.get(run_id, current())
    except InvalidInput as exc:
        raise MCPError(INVALID_PARAMS, str(exc)) from None


async def _state(app: App, info: RunInfo, session: ServerSession) -> dict[str, Any]:
    """A task as it stands, with what the state has: a result, an error, or questions."""
    client = session.client_params
    most = host(client.client_info.name if client is not None else None).result_chars
    if kept.answered(info):
        return {**_head(info, "completed"), "result": _dumped(await kept.finished(app, info, most))}
    if info.status == "cancelled":
        return {**_head(info, "cancelled"), "statusMessage": str(info.result.get("error") or "cancelled")[:500]}
    if info.status == "failed":
        words = str(info.result.get("error") or "it failed")
        if info.result.get("kind") == "error":  # a fault of our own, which no tool result tells
            head = _head(info, "failed")
            return {**head, "statusMessage": words[:500], "error": {"code": INTERNAL_ERROR, "message": words}}
        return {**_head(info, "completed"), "result": _dumped(kept.ended(info, most), is_error=True)}
    if info.status == "interrupted" and not app.resumers.automatic(info.kind):
        partial = await app.journals.partial(info.id)
        return {**_head(info, "completed"), "result": _dumped(results.interrupted(info.id, partial), is_error=True)}
    if info.status == "waiting" and (asked := [one for one in await app.journals.questions(info.id) if one.open]):
        if declared.forms(session):
            requests = {key: _dumped(one) for key, one in asking.approvals(asked).items()}
            return {**_head(info, "input_required"), "inputRequests": requests}
        words = f'it waits for an answer: runs(action="answer", run_id="{info.id}", answer=...)'
        return {**_head(info, "working"), "statusMessage": words}
    return _head(info, "working")


def _head(info: RunInfo, status: str) -> dict[str, Any]:
    return {
        "taskId": info.id,
        "status": status,
        "createdAt": _time(info.created),
        "lastUpdatedAt": _time(info.updated),
        "ttlMs": None,
        "pollIntervalMs": POLL_MS,
    }


def _dumped(value: Any, *, is_error: bool = False) -> dict[str, Any]:
    data: dict[str, Any] = value.model_dump(by_alias=True, mode="json", exclude_none=True)
    return {**data, "isError": True} if is_error else data


def _time(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
