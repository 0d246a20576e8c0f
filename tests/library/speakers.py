"""Providers in code, of every shape there is, for the tests of the Python functions."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio

from mcp_llm.errors import (
    Overloaded,
)
from mcp_llm.types.chat import ChatRequest, Delta, End
from mcp_llm.types.message import Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_llm.types.chat import Chunk

NOTICE = "This is mcp-llm's built-in demo, not a language model."
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"


class Endless:
    """Streams until it is stopped, and knows that it was."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        try:
            while True:
                await anyio.lowlevel.checkpoint()
                yield Delta(0, Text("again "))
        finally:
            self.stopped.set()


class Recording:
    """Answers with one word and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[ChatRequest, str]] = []

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        self.requests.append((request, model))
        yield Delta(0, Text("noted"))
        yield End(stop="stop", model=model)


class Failing:
    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        yield Delta(0, Text("half an "))
        raise Overloaded("failing: out of order", status=503, provider="failing", model=model)


class Messages:
    """The shape `generate(messages, model, settings)`, async, with an object as its answer."""

    class Answer:
        content = "from messages"

    async def generate(self, messages: list[dict[str, str]], model: str, settings: Any) -> Answer:
        assert messages == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]
        assert (model, settings.temperature, settings.max_tokens) == ("m", 0.5, 9)
        return self.Answer()


class Prompts:
    """The shape `completion(prompt, model, ...)`, sync, with text as its answer."""

    def completion(self, prompt: str, model: str, temperature: float | None = None, **rest: Any) -> str:
        return f"{model} was given {prompt!r} at {temperature} and {sorted(rest.items())}"
