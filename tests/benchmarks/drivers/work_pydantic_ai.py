"""pydantic-ai's agent over its OpenAI model."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


class PydanticAI:
    def __init__(self, tools: str) -> None:
        self.kind: Any = import_module("pydantic_ai").Agent
        self.limits: Any = import_module("pydantic_ai.usage").UsageLimits(request_limit=None)
        self.mcp: Any = import_module("pydantic_ai.mcp") if tools == "mcp" else None
        self.model: Any = None

    async def run(self, base: str) -> str:
        if self.model is None:
            provider = import_module("pydantic_ai.providers.openai").OpenAIProvider(base_url=base, api_key="x")
            self.model = import_module("pydantic_ai.models.openai").OpenAIChatModel("bench-1", provider=provider)
        if self.mcp is None:
            agent = self.kind(self.model, tools=[add])
        else:
            pipes = self.mcp.StdioTransport(
                command=work.PYTHON, args=[work.SERVER], env=dict(os.environ), keep_alive=False
            )
            agent = self.kind(self.model, toolsets=[self.mcp.MCPToolset(pipes)])
        async with agent:
            return str((await agent.run(work.TASK, usage_limits=self.limits)).output)


@asynccontextmanager
async def opened(tools: str) -> AsyncIterator[PydanticAI]:
    yield PydanticAI(tools)


if __name__ == "__main__":
    work.main(opened)
