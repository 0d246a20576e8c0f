"""Prompt files and agents as MCP prompts, read anew when they change: `prompts/list` and `prompts/get`.

An agent without arguments of its own takes a `task`. Filling in is `mcp_llm.prompts`' work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp import MCPError
from mcp.types import (
    INVALID_PARAMS,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from mcp_llm.errors import InvalidInput
from mcp_llm.types.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.server import MCPServer

    from mcp_llm import prompts

    from .life import Life

TASK: Final = PromptArgument(name="task", description="What it should do", required=False)


def install(server: MCPServer[Life]) -> None:
    """Answer from the files, and after them what is registered with the SDK."""
    low = server._lowlevel_server  # lists that change with files have no public place
    others = low.get_request_handler("prompts/get")
    assert others is not None, "the SDK answers prompts/get"

    async def listing(ctx: Any, params: PaginatedRequestParams) -> ListPromptsResult:
        found = [published(one) for _, one in sorted(ctx.lifespan_context.service.prompts.all().items())]
        return ListPromptsResult(prompts=[*found, *await server.list_prompts()])

    async def getting(ctx: Any, params: GetPromptRequestParams) -> Any:
        known = ctx.lifespan_context.service.prompts.all()
        prompt = known.get(params.name)
        if prompt is not None:
            return filled(prompt, params.arguments or {})
        if any(one.name == params.name for one in await server.list_prompts()):
            return await others.handler(ctx, params)
        close = nearest(params.name, known)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(known))}"
        raise MCPError(code=INVALID_PARAMS, message=f"there is no prompt {params.name[:80]!r}; {hint}")

    low.add_request_handler("prompts/list", PaginatedRequestParams, listing)
    low.add_request_handler("prompts/get", GetPromptRequestParams, getting)


def published(prompt: prompts.Prompt) -> Prompt:
    """A file as hosts list it."""
    front = prompt.front
    arguments = [
        PromptArgument(name=one.name, description=one.description or None, required=one.required)
        for one in front.arguments
    ]
    return Prompt(
        name=prompt.name,
        title=front.title,
        description=front.description or None,
        arguments=arguments or ([TASK] if _takes_task(prompt) else None),
    )


def filled(prompt: prompts.Prompt, values: Mapping[str, str]) -> GetPromptResult:
    """The prompt as a message of the user's. Raises MCPError naming what is missing or unknown."""
    given = dict(values)
    task = given.pop(TASK.name, "").strip() if _takes_task(prompt) else ""
    try:
        text = prompt.render(given).strip()
    except InvalidInput as exc:
        raise MCPError(code=INVALID_PARAMS, message=str(exc)) from None
    content = TextContent(type="text", text=f"{text}\n\n{task}" if task else text)
    return GetPromptResult(
        description=prompt.front.description or None, messages=[PromptMessage(role="user", content=content)]
    )


def _takes_task(prompt: prompts.Prompt) -> bool:
    return prompt.front.kind == "agent" and not prompt.front.arguments
