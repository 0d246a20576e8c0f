"""litellm's acompletion, telemetry and retries off."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import drive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MESSAGES = [{"role": "user", "content": drive.PROMPT}]


class LiteLLM:
    def __init__(self) -> None:
        library: Any = import_module("litellm")
        library.telemetry, library.suppress_debug_info = False, True
        self.library = library

    async def _ask(self, base: str, **more: Any) -> Any:
        return await self.library.acompletion(
            model="openai/bench-1", messages=MESSAGES, api_base=base, api_key="x", num_retries=0, **more
        )

    async def call(self, base: str) -> str:
        return str((await self._ask(base)).choices[0].message.content)

    async def stream(self, base: str) -> AsyncIterator[object]:
        async for chunk in await self._ask(base, stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk


@asynccontextmanager
async def opened() -> AsyncIterator[LiteLLM]:
    yield LiteLLM()


if __name__ == "__main__":
    drive.main(opened)
