"""A published tool: its arguments as a pydantic model, its function, and definitions that cost few tokens.

Unknown arguments are refused, schemas carry no titles, and every failure reaches the caller as a sentence with its fix:
never pydantic's report, never a traceback.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools.base import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp.types import InputRequiredResult
from pydantic import ValidationError

from mcp_llm.errors import Error, ProviderError
from mcp_llm.types.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.types import CallToolResult, ToolAnnotations

    from mcp_llm.server.arguments import Arguments
    from mcp_llm.server.run import Run

logger = logging.getLogger(__name__)
WAITS = "wait"
"""The one action of a tool with several that waits for a run, and may ask what that run asks."""
PARTIAL_SHOWN = 4000
"""Characters of a broken-off answer that are shown with its error; the run keeps all of it."""


class Published(Tool):
    """A tool whose definition and errors are ours."""

    async def run(self, arguments: dict[str, Any], context: Any, convert_result: bool = False) -> Any:
        """Check, call, answer; whatever fails is raised as one readable ToolError."""
        from mcp_llm.server.run import Run

        try:
            given = cast("type[Arguments]", self.fn_metadata.arg_model).given(arguments)
        except ValidationError as exc:
            raise ToolError(explain(exc, list(self.parameters["properties"]))) from None
        run = Run.of(context)
        run.life.greet(context, run.session)
        redacted = run.service.config.redactor
        try:
            return await self._answer(given, run)
        except Error as exc:
            raise ToolError(redacted(told(exc, run.run_id))) from exc
        except Exception as exc:
            logger.exception("%s failed", self.name)
            raise ToolError(
                f"mcp-llm itself failed ({type(exc).__name__}); its log on stderr says where. The run is {run.run_id}."
            ) from exc

    async def _answer(self, given: Any, run: Run) -> CallToolResult | InputRequiredResult:
        """What the function gives, or a call that comes again, or what the run wants of its host."""
        from mcp_llm.llm.backends.sampling import offering
        from mcp_llm.server import asking, rounds, sampling

        state = asking.returned(run.context)
        with offering(sampling.offered(run)):
            if state is not None and state.run is not None:
                result = await rounds.again(run, state, getattr(given, "wait_s", None))
            else:
                result = await self.fn(given, run)
                if vars(given).get("action", WAITS) == WAITS:  # getattr of a model that has none takes 3 us
                    result = await rounds.handed(run, result)
        if isinstance(result, InputRequiredResult):  # another process may be asked to go on
            await run.life.seal.share(run.service.store)
        return result


def publish(
    function: Callable[[Any, Run], Awaitable[CallToolResult | InputRequiredResult]],
    arguments: type[Arguments],
    *,
    name: str,
    title: str,
    description: str,
    output: dict[str, Any],
    annotations: ToolAnnotations,
) -> Published:
    """The tool of a function; `output` is its output schema, written by hand to stay small."""
    return Published(
        fn=function,
        name=name,
        title=title,
        description=description,
        parameters=compact(arguments.model_json_schema(by_alias=True)),
        fn_metadata=FuncMetadata(arg_model=arguments, output_schema=output),
        is_async=True,
        context_kwarg=None,
        annotations=annotations,
    )


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema in fewer tokens: no titles, no empty defaults, `anyOf [T, null]` as T."""
    return {key: _compact(key, value) for key, value in schema.items() if key not in {"title", "description"}}


def _compact(key: str, value: Any) -> Any:
    if key in {"properties", "$defs"} and isinstance(value, dict):
        return {name: _one(item) for name, item in value.items()}
    return _one(value) if isinstance(value, dict) else value


def _one(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    schema = {
        key: value
        for key, value in schema.items()
        if key != "title" and not (key == "default" and value in (None, False))
    }
    if not schema.keys() - {"description"}:
        schema = {**schema, "anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "object", "array")]}
    options = schema.get("anyOf")
    if isinstance(options, list):
        kept = [option for option in options if option != {"type": "null"}]
        if len(kept) == 1:
            rest = {key: value for key, value in schema.items() if key != "anyOf"}
            schema = {**kept[0], **rest}
        else:
            schema["anyOf"] = [_one(option) for option in kept]
    if isinstance(schema.get("items"), dict):
        schema["items"] = _one(schema["items"])
    if schema.get("additionalProperties") is True:
        del schema["additionalProperties"]
    return {key: _compact(key, value) for key, value in schema.items() if key != "title"}


def explain(error: ValidationError, names: list[str]) -> str:
    """What is wrong with the arguments, one sentence each, without repeating their values."""
    sentences = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False)[:5]:
        # Where there are several types, pydantic names each after the argument.
        place = ".".join(
            str(part) for part in (*fault["loc"][:1], *(at for at in fault["loc"][1:] if isinstance(at, int)))
        )
        first = str(fault["loc"][0]) if fault["loc"] else ""
        if fault["type"] == "missing":
            sentences.append(f"the argument `{place}` is missing")
        elif fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
            close = nearest(first, names)
            hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(names)}"
            sentences.append(f"there is no argument `{first[:60]}`; {hint}")
        else:
            sentences.append(f"`{place[:120]}`: {fault['msg']}")
    return "; ".join(dict.fromkeys(sentences))


def told(error: Error, run_id: str) -> str:
    """The error for the calling model: the cause, the fix, what had arrived, and where it is kept."""
    text = str(error)
    if error.partial:
        shown = error.partial[:PARTIAL_SHOWN]
        more = (
            f" (first {PARTIAL_SHOWN:,} of {len(error.partial):,} characters)"
            if len(error.partial) > len(shown)
            else ""
        )
        text += f"\nWhat had arrived{more}, also kept in run {run_id}:\n{shown}"
    elif isinstance(error, ProviderError):
        text += f" [run {run_id}]"
    return text
