"""pydantic-ai's direct model requests, without an agent."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import drive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class PydanticAI:
    def __init__(self) -> None:
        self.direct: Any = import_module("pydantic_ai.direct")
        self.messages: Any = import_module("pydantic_ai.messages")
        self.models: dict[str, Any] = {}

    def model(self, base: str) -> Any:
        if base not in self.models:
            provider = import_module("pydantic_ai.providers.openai").OpenAIProvider(base_url=base, api_key="x")
            self.models[base] = import_module("pydantic_ai.models.openai").OpenAIChatModel("bench-1", provider=provider)
        return self.models[base]

    def request(self) -> list[Any]:
        return [self.messages.ModelRequest.user_text_prompt(drive.PROMPT)]

    async def call(self, base: str) -> str:
        reply = await self.direct.model_request(self.model(base), self.request())
        return "".join(part.content for part in reply.parts if part.part_kind == "text")

    async def stream(self, base: str) -> AsyncIterator[object]:
        async with self.direct.model_request_stream(self.model(base), self.request()) as events:
            async for event in events:
                yield event


@asynccontextmanager
async def opened() -> AsyncIterator[PydanticAI]:
    yield PydanticAI()


if __name__ == "__main__":
    drive.main(opened)
