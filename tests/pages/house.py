"""A process with scripted models on a home: does what stdin says, a scene a line, so that pages have something to show.

`compare`: four models, three prompts, checks and a judge. `agent`: one with a delegate and a tool that asks first.
`hostile`: an answer that tries to be markup. `spend`: ledger rows over some weeks. Each prints what it made, as JSON;
an agent's run id is printed when it begins, `go` lets its models speak on.
"""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from agent.scripted import Scripted, call, opened, write_agent

from mcp_llm.agent.operation import run_agent
from mcp_llm.agent.task import Limits, Task
from mcp_llm.compare.asked import Comparison
from mcp_llm.compare.operation import compare
from mcp_llm.llm.ledger import Entry
from mcp_llm.toolsets.functions import Function, Functions
from mcp_llm.types.chat import Delta, End
from mcp_llm.types.events import Start
from mcp_llm.types.message import Text, Thinking
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_llm.app import App
    from mcp_llm.types.chat import ChatRequest, Chunk

HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> "
    "[click](javascript:document.title='owned') javascript:alert(1) https://example.invalid/a?b=1. "
    "</script><style>body{display:none}</style>"
)
WORDS = {
    "ash": "Paris. It has been the capital of France, with interruptions, since the **10th century**.",
    "beech": "The capital is `Paris`.",
    "cedar": "Lyon, I believe, though many people would say Paris.\n\n```python\nprint('Lyon')\n```\n",
    "elm": "Paris",
}
PRICES = {
    "ash:large": {"input": 15.0, "output": 75.0},
    "beech:mid": {"input": 3.0, "output": 15.0},
    "cedar:small": {"input": 0.2, "output": 0.8},
    "scripted:m": {"input": 10.0, "output": 100.0},
    "helper:m": {"input": 1.0, "output": 4.0},
}
DELAYS = {"ash": 0.30, "beech": 0.12, "cedar": 0.04, "elm": 0.08}


class Speaker:
    """Says the same to everybody, and as a judge that the answer with Paris in it wins."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        await anyio.sleep(DELAYS[self.name])
        if request.json_schema is not None:
            yield Delta(0, Text(json.dumps(_vote(request))))
        else:
            yield Delta(0, Text(WORDS[self.name]))
        yield End(stop="stop", usage=Usage(input=30, output=len(WORDS[self.name].split()) * 2))


def _vote(request: ChatRequest) -> dict[str, Any]:
    a, _, b = request.messages[-1].text.partition("answer B")
    good = ["I believe" not in half.partition("answer A")[2] + half for half in (a, b)]
    return {"winner": "tie" if good[0] == good[1] else "A" if good[0] else "B", "reason": "it is right"}


class Slowly:
    """A model that thinks, then speaks word by word as `go` is said, then does what its script says."""

    def __init__(self, inner: Scripted) -> None:
        self.inner = inner
        self.gate = anyio.Event()

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        yield Delta(0, Thinking("The task has two halves. I look at the notes first, then I ask somebody who knows. "))
        for word in ["Let", "me", "look", "at", "the", "notes", "before", "I", "decide", "anything."]:
            yield Delta(1, Text(f"{word} "))
        await anyio.sleep(0.15)  # the journal joins what comes within a moment
        yield Delta(1, Text("Then I decide. "))
        await self.gate.wait()
        async for chunk in self.inner.stream(request, model):
            yield Delta(chunk.slot + 2, chunk.part) if isinstance(chunk, Delta) else chunk


async def agent(app: App, scene: dict[str, Any], gates: list[Slowly]) -> None:
    """A task with a delegate; its tool waits for an answer from anywhere."""
    model = Slowly(
        Scripted(
            call("read_notes", {"path": "notes/2026-11.md", "lines": 200}),
            call("ask_researcher", {"task": "Which of these files are older than a year?"}),
            call("delete", {"path": "notes/2019.md", "really": True}),
            "I kept the notes of this year. " + scene.get("last", "One file was old: `notes/2019.md`."),
            usage=Usage(input=1200, output=80),
        )
    )
    gates.append(model)
    app.register("scripted", model)

    def read_notes(path: str, lines: int) -> str:
        """Read a file of notes."""
        return "\n".join(f"2026-11-{day:02}: bought {day} apples" for day in range(1, 25))

    def delete(path: str, really: bool) -> str:
        """Delete a file of notes for good."""
        return f"{path} is gone"

    tools = Functions([Function(read_notes, approval="allow"), Function(delete, approval="ask", destructive=True)])
    task = Task(
        prompt="Tidy up the notes folder: read the notes of this month, find what is older than a year, and delete it.",
        model="scripted:m",
        agent="tidier",
        budget=Limits(usd=0.5, turns=8, seconds=600),
    )
    say({"scene": "agent", "run": scene["run"]})
    try:
        await run_agent(app, app.journals, task, run_id=scene["run"], toolsets=[tools])
    except Exception as exc:
        say({"scene": "agent", "failed": str(exc)})
    else:
        say({"scene": "agent", "done": scene["run"]})


async def comparison(app: App, scene: dict[str, Any]) -> None:
    for name in WORDS:
        app.register(name, Speaker(name))
    judges = ["elm:judge", "beech:mid"] if scene.get("judge") else False
    found = await compare(
        app,
        Comparison(
            models=["ash:large", "beech:mid", "cedar:small", "elm:free"],
            prompts=[f"What is the capital of France? ({number})" for number in range(scene.get("prompts", 3))],
            expect={"contains": "Paris", "regex": "^(Paris|The capital)"} if scene.get("expect", True) else None,
            judge=judges,
        ),
    )
    await app.store.flush()
    say({"scene": "compare", "run": found.run_id})


async def spend(app: App) -> None:
    now = time.time_ns() // 1_000_000
    for day in range(24):
        for index, (provider, model, context) in enumerate(
            [
                ("ash", "large", "notes.title"),
                ("beech", "mid", None),
                ("elm", "free", "chat"),
                ("cedar", "small", "chat"),
            ]
        ):
            if (day * 7 + index * 3) % 5 == 0 or (day in {5, 6}):
                continue
            usd = None if provider == "elm" else Decimal(str(round(0.004 * (1 + (day * 13 + index * 29) % 17), 5)))
            app.purse.ledger.add(
                Entry(
                    ts=now - day * 86_400_000 - index * 1000,
                    provider=provider,
                    model=model,
                    outcome="overloaded" if (day + index) % 11 == 0 else "ok",
                    context=context,
                    principal="local",
                    input=900 + day * 40,
                    output=200 + index * 90,
                    cached=300 if index else None,
                    usd=usd,
                )
            )
    await app.store.flush()
    say({"scene": "spend"})


async def abandoned(app: App, scene: str) -> None:
    """A run that nobody drives any more: an agent's, or one answer's."""
    if scene == "interrupted":
        task = Task(prompt="this was left half done", model="demo", servers=())
        kind, request = "agent", task.model_dump(mode="json", exclude_defaults=True)
    else:
        kind, request = "generate", {"arguments": {"prompt": "asked before the crash", "model": "demo"}}
    journal = await app.journals.create(kind, request, "local", model="demo")
    await journal.append(Start(prompt="left", model="demo", kind=kind))
    await journal.release()
    say({"scene": scene, "run": journal.run_id})


async def hostile(app: App) -> None:
    app.register("scripted", Scripted(HOSTILE))
    task = Task(prompt=HOSTILE, model="scripted:m", servers=(), persona="<b>persona</b>")
    found = await run_agent(app, app.journals, task)
    say({"scene": "hostile", "run": found.run_id})


def say(data: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(data) + "\n")
    sys.stdout.flush()


async def main(home: Path) -> None:
    write_agent(home, "researcher", 'description = "Finds out"\nmodel = "helper:m"')
    write_agent(home, "tidier", 'description = "Tidies up"\ndelegates = ["researcher"]')
    helper = Scripted("notes/2019.md is older than a year; nothing else is.", usage=Usage(input=700, output=60))
    gates: list[Slowly] = []
    async with (
        opened(home, {"helper": helper}, prices=PRICES, budget={"unknown_usd": 0.01}) as app,
        anyio.create_task_group() as tasks,
    ):
        say({"scene": "ready"})
        while line := await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            scene = json.loads(line)
            match scene["scene"]:
                case "compare":
                    await comparison(app, scene)
                case "agent":
                    tasks.start_soon(agent, app, scene, gates)
                case "go":
                    for gate in gates:
                        gate.gate.set()
                case "hostile":
                    await hostile(app)
                case "interrupted" | "cut_off" as name:
                    await abandoned(app, name)
                case "spend":
                    await spend(app)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]))
