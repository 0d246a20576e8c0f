"""any-llm with one instance a base URL, its cheap way."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import drive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MESSAGES = [{"role": "user", "content": drive.PROMPT}]


class AnyLLM:
    def __init__(self) -> None:
        self.library: Any = import_module("any_llm")
        self.clients: dict[str, Any] = {}

    def client(self, base: str) -> Any:
        if base not in self.clients:
            self.clients[base] = self.library.AnyLLM.create("openai", api_key="x", api_base=base)
        return self.clients[base]

    async def call(self, base: str) -> str:
        return str((await self.client(base).acompletion(model="bench-1", messages=MESSAGES)).choices[0].message.content)

    async def stream(self, base: str) -> AsyncIterator[object]:
        async for chunk in await self.client(base).acompletion(model="bench-1", messages=MESSAGES, stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk


@asynccontextmanager
async def opened() -> AsyncIterator[AnyLLM]:
    yield AnyLLM()


if __name__ == "__main__":
    drive.main(opened)
