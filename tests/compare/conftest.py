"""Scripted models by name, and the service opened on them."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from faults.asking import Asking

from mcp_llm.types.chat import Delta, End
from mcp_llm.types.message import Text
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from mcp_llm.llm.service import Service
    from mcp_llm.types.chat import ChatRequest, Chunk


@dataclass
class Scripted:
    """A provider whose answer is a function of (prompt, model): a text, an error to raise, or an awaitable of one."""

    says: Callable[[str, str], Any]
    output: int = 10
    asked: list[tuple[str, str]] = field(default_factory=list)
    requests: list[ChatRequest] = field(default_factory=list)

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        prompt = request.messages[-1].text
        self.asked.append((model, prompt))
        self.requests.append(request)
        said = self.says(prompt, model)
        if hasattr(said, "__await__"):
            said = await said
        if isinstance(said, Exception):
            raise said
        yield Delta(0, Text(said))
        yield End(stop="stop", model=model, usage=Usage(input=100, output=self.output))


@dataclass(frozen=True)
class Paper:
    """What a judge was given, taken apart by its fence."""

    fence: str
    question: str
    a: str
    b: str
    rest: str


class Opening:
    """Opens the service on scripted providers."""

    def __init__(self, home: Path) -> None:
        self.asking = Asking(home)

    @asynccontextmanager
    async def __call__(self, settings: dict[str, Any] | None = None, **providers: Any) -> AsyncIterator[Service]:
        async with self.asking.open(**(settings or {})) as service:
            for name, provider in providers.items():
                service.register(name, provider if isinstance(provider, Scripted) else Scripted(provider))
            yield service


@pytest.fixture
def opening(home: Path) -> Opening:
    return Opening(home)


@pytest.fixture
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture
def paper() -> Callable[[str], Paper]:
    def read(prompt: str) -> Paper:
        fence = re.search(r"^\[question ([0-9a-f]{16})\]$", prompt, re.MULTILINE)
        assert fence is not None
        word = fence[1]
        found = re.fullmatch(
            rf"(.*)\n\[question {word}\]\n(.*)\n\[end of question {word}\]\n+\[answer A {word}\]\n(.*)\n"
            rf"\[end of answer A {word}\]\n+\[answer B {word}\]\n(.*)\n\[end of answer B {word}\]\n(.*)",
            prompt,
            re.DOTALL,
        )
        assert found is not None
        return Paper(word, found[2], found[3], found[4], found[1] + found[5])

    return read


@pytest.fixture
def verdict() -> Callable[[str], str]:
    """A judge's answer."""
    return lambda winner: json.dumps({"reason": "because", "winner": winner})
