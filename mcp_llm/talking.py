"""Conversations from Python: `async with realtime(...)`, with functions and MCP servers as the model's tools.

MCP carries no sound in both directions, so this is for Python and the shell only.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from mcp_llm.background import opened
from mcp_llm.errors import InvalidInput, ToolFailed
from mcp_llm.llm.answer import Job
from mcp_llm.llm.doing import plan
from mcp_llm.llm.realtime import KIND, Session, able
from mcp_llm.types.realtime import RealtimeRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mcp_llm.llm.service import Service
    from mcp_llm.toolsets.base import Tool, Toolset
    from mcp_llm.types.message import ToolCall, ToolResult

MOST_SHOWN: Final = 32 * 1024
"""Bytes of a tool's result that the model is given."""


class realtime:  # noqa: N801 - it is used as a function is
    """A conversation with a model that hears and speaks. `async with` gives a `Session`.

        async with realtime("openai:gpt-realtime-2.1", instructions="Be brief.") as session:
            await session.say("What is the capital of France?")
            answer = await session.turn()  # .text, .sound (samples), .rate, .heard

    `speak` False answers in text; `listen` False leaves it to you to say when you are done (`session.over()`).
    `functions` are Python functions, `servers` names of configured MCP servers, whose tools the model may call; what
    the settings say has to be asked for is asked of `approve(tool, arguments)`, and without it the answer is no.
    `budget_usd` and `timeout_s` (an hour unless said) end the session; other keywords go into its opening as they are.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        instructions: str | None = None,
        voice: str | None = None,
        speak: bool = True,
        listen: bool = True,
        transcribe: bool = True,
        language: str | None = None,
        temperature: float | None = None,
        functions: Sequence[Any] = (),
        servers: Sequence[str] = (),
        approve: Callable[[str, dict[str, Any]], Awaitable[bool]] | None = None,
        context: str | None = None,
        budget_usd: float | None = None,
        timeout_s: float = 3600.0,
        service: Service | None = None,
        **options: Any,
    ) -> None:
        self._request = RealtimeRequest(
            instructions=instructions,
            voice=voice,
            speak=speak,
            listen=listen,
            transcribe=transcribe,
            language=language,
            temperature=temperature,
            options=options,
        )
        if not 0 < timeout_s < float("inf"):
            raise InvalidInput(f"`timeout_s` is {timeout_s}; it has to be a number above 0")
        self._model = model
        self._functions = functions
        self._servers = servers
        self._approve = approve
        self._job = Job(uuid4().hex, context, operation=KIND, budget_usd=budget_usd, timeout_s=timeout_s)
        self._service = service
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Session:
        """Raises the errors of `mcp_llm.errors`."""
        service = self._service or await opened.get()
        chosen = await plan(service, KIND, self._model, self._job.context)
        able(chosen.targets[0])
        async with AsyncExitStack() as stack:
            toolset = await self._tools(stack, service)
            tools = await toolset.list() if toolset is not None else []
            caller = _Caller(toolset, {tool.name: tool for tool in tools}, self._approve) if toolset else None
            request = self._request.model_copy(update={"tools": tuple(tool.spec for tool in tools)})
            session = Session(service, chosen, self._job, request, None if caller is None else caller.call)
            errors = getattr(toolset, "errors", {})
            session.warnings += [*chosen.warnings, *errors.values()]
            await stack.enter_async_context(session)
            self._stack = stack.pop_all()
        return session

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.__aexit__(*error)  # the session first, then the servers of its tools

    async def _tools(self, stack: AsyncExitStack, service: Service) -> Toolset | None:
        if not self._functions and not self._servers:
            return None
        from mcp_llm.toolsets.compose import Group
        from mcp_llm.toolsets.functions import Functions

        members: dict[str, Toolset] = {"": Functions(self._functions)} if self._functions else {}
        errors: dict[str, str] = {}
        if self._servers:
            from mcp_llm.toolsets.connect import open_servers
            from mcp_llm.toolsets.pins import StoredPins

            settings = service.config.settings
            group = await stack.enter_async_context(
                open_servers(
                    self._servers,
                    settings.servers,
                    service.config.variable,
                    pinned=StoredPins(service.runs.store),
                    ca_file=settings.ca_file,
                    redactor=service.config.redactor,
                )
            )
            members |= group.members
            errors = group.errors
        return Group(members, errors=errors, most=MOST_SHOWN)


class _Caller:
    """Calls what the model wants called: checked against its schema, and only where policy or a person allows it."""

    def __init__(
        self,
        toolset: Toolset,
        tools: dict[str, Tool],
        approve: Callable[[str, dict[str, Any]], Awaitable[bool]] | None,
    ) -> None:
        self._toolset = toolset
        self._tools = tools
        self._approve = approve

    async def call(self, call: ToolCall) -> ToolResult:
        """The result; whatever goes wrong is one that says so."""
        from mcp_llm.toolsets import check
        from mcp_llm.toolsets.base import failed

        tool = self._tools.get(call.name)
        if tool is None:
            return failed(call.id, call.name, f"There is no tool {call.name[:80]!r}.")
        try:
            arguments = await check.arguments(call.arguments, tool)
        except ToolFailed as wrong:
            return failed(call.id, call.name, str(wrong))
        if tool.policy == "deny" or (
            tool.policy == "ask" and not (self._approve is not None and await self._approve(tool.name, arguments))
        ):
            return failed(call.id, call.name, f"{tool.name} was not called: it is not allowed. Do without it.")
        return await self._toolset.call(tool.name, arguments, call_id=call.id)
