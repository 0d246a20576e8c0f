"""A model that says what a script tells it to, a service on it, and functions whose effects can be counted."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from mcp_llm import config
from mcp_llm.agent.operation import run_agent
from mcp_llm.agent.task import Task
from mcp_llm.app import open_app
from mcp_llm.types.chat import Delta, End
from mcp_llm.types.message import Text, ToolCall
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from mcp_llm.agent.task import AgentResult
    from mcp_llm.app import App
    from mcp_llm.types.chat import ChatRequest, Chunk, Stop
    from mcp_llm.types.message import Part

MODEL = "scripted:m"
PRICES = {MODEL: {"input": 10.0, "output": 100.0}}


def call(name: str, arguments: Any = None, id: str = "") -> ToolCall:
    """A call the model asks for; `arguments` as JSON text or as what becomes it."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return ToolCall(id or f"c_{name}", name, text)


class Scripted:
    """Answers the n-th request with what the script says for it: parts, words, an End, or a function of the request.

    `requests` are what was asked; `usage` is told for every reply.
    """

    def __init__(self, *script: Any, usage: Usage | None = None) -> None:
        self.script = list(script)
        self.requests: list[ChatRequest] = []
        self.usage = usage or Usage(input=100, output=10)
        self.models: list[str] = []

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        """The next reply."""
        await anyio.lowlevel.checkpoint()
        said = self.script[min(len(self.requests), len(self.script) - 1)]
        self.requests.append(request)
        self.models.append(model)
        if callable(said):
            said = said(request)
        if isinstance(said, Exception):
            raise said
        for chunk in reply(said, self.usage):
            yield chunk


def reply(said: Any, usage: Usage) -> list[Chunk]:
    """Chunks of a reply."""
    items: list[Any] = list(said) if isinstance(said, list | tuple) else [said]
    end = items.pop() if isinstance(items[-1], End) else None
    parts: list[Part] = [Text(item) if isinstance(item, str) else item for item in items]
    stop: Stop = "tool_calls" if any(isinstance(part, ToolCall) for part in parts) else "stop"
    return [*(Delta(slot, part) for slot, part in enumerate(parts)), end or End(stop=stop, usage=usage)]


@asynccontextmanager
async def opened(
    home: Path, backends: Mapping[str, object], *, clock: Callable[[], float] | None = None, **settings: Any
) -> AsyncIterator[App]:
    """The service with these providers in code; nothing else can be asked."""
    loaded = config.load(
        environment={"MCP_LLM_HOME": str(home)}, overrides={"discover": False, "prices": PRICES, **settings}
    )
    async with open_app(loaded) as app:
        for name, backend in backends.items():
            app.register(name, backend)
        yield app


async def do(app: App, task: Task | str, **more: Any) -> AgentResult:
    """Run a task within a minute."""
    if isinstance(task, str):
        task = Task(prompt=task, model=MODEL)
    with anyio.fail_after(60):
        return await run_agent(app, app.journals, task, **more)


def results(request: ChatRequest) -> list[tuple[str, str, bool]]:
    """(call id, text, whether it is an error) of the last message's tool results."""
    return [(part.id, part.text, part.is_error) for part in request.messages[-1].parts if part.type == "tool_result"]


def names(events: Iterable[dict[str, Any]]) -> list[str]:
    """The kinds of events, texts left out."""
    return [event["event"] for event in events if event["event"] not in {"text", "thinking"}]


def orderly(events: Sequence[dict[str, Any]]) -> None:
    """Numbered without a gap, ended once, and no tool's result before its start."""
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["event"] for event in events if event["event"] in {"finish", "error"}] == [events[-1]["event"]]
    assert events[0]["event"] == "start" or len(events) == 1  # it was cancelled before it had begun
    begun: set[str] = set()
    for event in events:
        if event["event"] == "model_end":
            begun.clear()
        elif event["event"] == "tool_start":
            assert event["call_id"] not in begun
            begun.add(event["call_id"])
        elif event["event"] == "tool_end":
            begun.remove(event["call_id"])
    # What ends a run in the middle of a call leaves the call without a result.
    assert not begun or events[-1]["event"] == "error" or events[-1]["stop_reason"] == "budget"


def write_agent(home: Path, name: str, front: str, body: str = "Do it.") -> None:
    """An agent's file in the user's folder."""
    folder = home / "prompts"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text(f'+++\ntitle = "{name}"\nkind = "agent"\n{front}\n+++\n{body}\n')
