"""openai-agents' Runner over Chat Completions, tracing off."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


class OpenAIAgents:
    def __init__(self, tools: str) -> None:
        self.sdk: Any = import_module("agents")
        self.sdk.set_tracing_disabled(True)
        self.tools = tools
        self.model: Any = None

    async def run(self, base: str) -> str:
        if self.model is None:
            client = import_module("openai").AsyncOpenAI(base_url=base, api_key="x", max_retries=0)
            self.model = self.sdk.OpenAIChatCompletionsModel("bench-1", client)
        if self.tools == "function":
            return await self.ask(tools=[self.sdk.function_tool(add)])
        server: Any = import_module("agents.mcp").MCPServerStdio
        async with server({"command": work.PYTHON, "args": [work.SERVER]}, client_session_timeout_seconds=60) as remote:
            return await self.ask(mcp_servers=[remote])

    async def ask(self, **tools: Any) -> str:
        agent = self.sdk.Agent(name="bench", model=self.model, **tools)
        result = await self.sdk.Runner.run(agent, work.TASK, max_turns=work.TURNS + 2)
        return str(result.final_output)


@asynccontextmanager
async def opened(tools: str) -> AsyncIterator[OpenAIAgents]:
    yield OpenAIAgents(tools)


if __name__ == "__main__":
    work.main(opened)
