"""The tool `run_workflow` through a real client: by name only, typed inputs, a quote, a run that goes on, questions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from agent.scripted import PRICES, Scripted
from mcp import Client

from mcp_llm import config as configuration
from mcp_llm.server.build import build, definitions
from mcp_llm.server.life import Heart
from mcp_llm.toolsets.functions import Functions  # noqa: F401 - its import is slow, and not what is measured

if TYPE_CHECKING:
    from mcp_llm.llm.service import Service

pytestmark = pytest.mark.anyio
SERVER = Path(__file__).parents[1] / "agent" / "server.py"

TWO = """
name: two
description: One after the other.
inputs:
  topic: {type: string, description: what about}
  count: {type: integer, default: 3}
tasks:
- {id: first, method: llm/generate, parameters: {model: "scripted:m", prompt: "${inputs.count} of ${inputs.topic}"}}
- {id: last, method: llm/generate, parameters: {model: "scripted:m", prompt: "best of ${first.response}"}}
"""
WIPE = """
name: wipe
tasks:
- {id: wipe, method: mcp/figures.wipe}
- {id: add, method: mcp/figures.add, parameters: {a: 1, b: 2}}
outputs: {sum: "${add.response}"}
"""
AGENT = """
name: agent
tasks:
- {id: ask, method: agent/run, parameters: {prompt: go, model: "scripted:m", servers: []}}
- {id: use, method: llm/generate, parameters: {model: "scripted:m", prompt: "check: ${ask.response}"}}
"""


class House:
    """A server with workflows, a scripted model and an MCP server of figures."""

    def __init__(self, home: Path, model: object, **settings: Any) -> None:
        (home / "workflows").mkdir(exist_ok=True)
        for name, text in (("two", TWO), ("wipe", WIPE), ("agent", AGENT), ("broken", "tasks: 1"), ("a b", TWO)):
            (home / "workflows" / f"{name}.yaml").write_text(text)
        self.notes = home / "notes"
        figures = {"command": sys.executable, "args": [str(SERVER), str(self.notes)]}
        overrides = {
            "discover": False,
            "prices": PRICES,
            "servers": {"figures": figures},
            "packs": ["workflow"],
            **settings,
        }
        self.config = configuration.load(overrides=overrides)
        self.opened: list[Service] = []
        self.server = build(self.config, self.opened, Heart(first=0.01, beat=0.01))
        self.model = model

    async def call(self, client: Client, **arguments: Any) -> Any:
        self.opened[0].register("scripted", self.model)
        with anyio.fail_after(60):
            return await client.call_tool("run_workflow", arguments)


async def runs(client: Client, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool("runs", arguments)
    assert result.structured_content is not None, result
    return dict(result.structured_content)


async def test_a_workflow_of_the_users_folder_is_run_by_name_with_its_inputs(home: Path, mode: Any) -> None:
    house = House(home, Scripted("many", "the best"))
    async with Client(house.server, mode=mode) as client:
        given = await house.call(client, name="two", inputs={"topic": "ideas"})
        again = await runs(client, action="wait", run_id=given.structured_content["run_id"])
    data = given.structured_content
    assert (data["response"], data["status"], data["cost"]["usd"]) == ("the best", "completed", 0.004)
    assert [(one["task_id"], one["status"]) for one in data["tasks"]] == [("first", "completed"), ("last", "completed")]
    assert "2 completed" in given.content[0].text
    assert data["run_id"] in given.content[0].text
    assert again["response"] == "the best"


async def test_without_a_name_it_lists_what_there_is(home: Path) -> None:
    house = House(home, Scripted("x"))
    async with Client(house.server) as client:
        given = await house.call(client)
    assert given.content[0].text.splitlines() == [
        "agent()",
        "broken: is broken, `mcp-llm workflow check broken` says how",
        "two(topic: string, count: integer = 3)  One after the other.",
        "wipe()",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "tow"}, "there is no workflow `tow`; did you mean `two`?"),
        ({"name": "../two"}, "there is no workflow `../two`"),
        ({"name": "two.yaml"}, "there is no workflow `two.yaml`"),
        ({"name": "name: x\ntasks: []"}, "there is no workflow `name: x"),
        ({"name": "two"}, "two: the input `topic` is missing (what about)"),
        ({"name": "two", "inputs": {"topic": 1, "cuont": 2}}, "there is no input `cuont`; did you mean `count`?"),
        ({"name": "broken"}, "line 1: `name` is missing"),
        ({"yaml": "name: x"}, "there is no argument `yaml`"),
    ],
)
async def test_what_is_no_call_is_told_with_the_fix(home: Path, arguments: dict[str, Any], words: str) -> None:
    house = House(home, Scripted("x"))
    async with Client(house.server) as client:
        given = await house.call(client, **arguments)
    assert given.is_error
    assert words in given.content[0].text


async def test_a_dry_run_is_its_plan_and_its_price(home: Path) -> None:
    house = House(home, Scripted("never asked"))
    async with Client(house.server) as client:
        given = await house.call(client, name="two", inputs={"topic": "x"}, dry_run=True)
    data = given.structured_content
    assert [(one["task"], one.get("after")) for one in data["tasks"]] == [("first", []), ("last", ["first"])]
    assert data["tasks"][0]["usd_at_least"] > 0
    assert "depends on earlier results" in data["tasks"][1]["why"]
    assert data["unknown"] == ["first", "last"] or data["unknown"] == ["last"]
    assert house.model.requests == []  # type: ignore[attr-defined]


async def test_a_call_that_takes_too_long_hands_back_its_run(home: Path) -> None:
    go = anyio.Event()

    class Slow(Scripted):
        async def stream(self, request: Any, model: str) -> Any:
            await go.wait()
            async for chunk in super().stream(request, model):
                yield chunk

    house = House(home, Slow("at last"))
    async with Client(house.server) as client:
        given = await house.call(client, name="two", inputs={"topic": "x"}, wait_s=0.2)
        assert given.structured_content["status"] == "running"
        go.set()
        done = await runs(client, action="wait", run_id=given.structured_content["run_id"])
    assert done["response"] == "at last"


async def test_one_that_was_handed_back_is_gone_on_with_by_the_next_server(home: Path) -> None:
    class Hanging(Scripted):
        async def stream(self, request: Any, model: str) -> Any:
            if self.requests:
                await anyio.sleep_forever()
            async for chunk in super().stream(request, model):
                yield chunk

    first = House(home, Hanging("many"))
    async with Client(first.server) as client:
        given = await first.call(client, name="two", inputs={"topic": "x"}, wait_s=0.5)
        run_id = given.structured_content["run_id"]
        assert given.structured_content["status"] == "running"
    second = Scripted("the rest")
    house = House(home, second)
    async with Client(house.server) as client:
        house.opened[0].register("scripted", second)
        with anyio.fail_after(60):
            done = await runs(client, action="wait", run_id=run_id, wait_s=1)
            while "response" not in done or done["status"] in {"running", "interrupted"}:
                done = await runs(client, action="wait", run_id=run_id, wait_s=1)
    assert (done["response"], [request.messages[0].text for request in second.requests]) == (
        "the rest",
        ["best of many"],
    )


@pytest.mark.parametrize(("answer", "left"), [(True, ""), (False, "dear\n")])
async def test_what_may_destroy_is_asked_about_first(home: Path, answer: bool, left: str) -> None:
    house = House(home, Scripted("x"))
    house.notes.write_text("dear\n")
    async with Client(house.server, mode="legacy") as client:
        given = await house.call(client, name="wipe")
        assert given.structured_content["status"] == "waiting"
        run_id = given.structured_content["run_id"]
        assert house.notes.read_text() == "dear\n"
        await runs(client, action="answer", run_id=run_id, answer=answer)
        done = await runs(client, action="wait", run_id=run_id)
    assert house.notes.read_text() == left
    assert (done["status"], done["response"]) == ("completed" if answer else "failed", "3")


async def test_an_agent_is_a_task_and_its_run_stands_below(home: Path) -> None:
    house = House(home, Scripted("from the agent", "checked"))
    async with Client(house.server) as client:
        given = await house.call(client, name="agent")
        listed = await runs(client, action="list")
    assert given.structured_content["response"] == "checked"
    assert given.structured_content["cost"]["usd"] == 0.004
    below = [row for row in listed["runs"] if row.get("parent") == given.structured_content["run_id"]]
    assert sorted(row["kind"] for row in below) == ["delegate", "generate"]


async def test_the_definition_is_small(home: Path) -> None:
    house = House(home, Scripted("x"))
    own = [one for one in definitions(house.config) if one["name"] == "run_workflow"]
    assert len(str(own)) < 1200
