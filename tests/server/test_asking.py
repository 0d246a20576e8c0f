"""People are asked through the host in both eras: pushed or handed back, and never for longer than they may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from agent.scripted import Scripted, call
from mcp import Client, MCPError
from mcp.types import ElicitRequestFormParams, ElicitResult, InputRequiredResult
from server.test_run_agent import House, runs

from mcp_llm import config as configuration
from mcp_llm.server.build import build

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
WIPE = {"servers": ["figures"]}


class Person:
    """Answers forms, one after the other; the last answer again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[ElicitRequestFormParams] = []

    async def __call__(self, context: Any, params: Any) -> Any:
        self.asked.append(params)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await anyio.sleep_forever()
        return answer


YES = ElicitResult(action="accept", content={"approve": True})
NO = ElicitResult(action="accept", content={"approve": False})
CANCEL = ElicitResult(action="cancel")


@pytest.mark.parametrize(
    ("answer", "left"),
    [(YES, ""), (NO, "dear\n"), (CANCEL, "dear\n"), (ElicitResult(action="accept"), "dear\n")],
    ids=["yes", "no", "cancelled", "empty"],
)
async def test_the_person_decides_within_the_one_call(home: Path, mode: Any, answer: Any, left: str) -> None:
    house, person = House(home), Person(answer)
    house.notes.write_text("dear\n")
    async with Client(house.server, mode=mode, elicitation_callback=person) as client:
        given = await house.call(client, Scripted(call("figures__wipe"), "well"), WIPE)
        listed = await runs(client, action="list")
    assert (given["response"], house.notes.read_text()) == ("well", left)
    assert len(person.asked) == len(listed["runs"]) == 1
    assert "figures__wipe" in person.asked[0].message
    assert person.asked[0].requested_schema["required"] == ["approve"]


async def test_each_question_has_its_answer_and_no_step_is_done_twice(home: Path, mode: Any) -> None:
    house, person = House(home), Person(YES, CANCEL)
    model = Scripted(call("figures__wipe"), call("figures__wipe"), "well")
    async with Client(house.server, mode=mode, elicitation_callback=person) as client:
        given = await house.call(client, model, WIPE)
    assert (given["response"], given["turns"], len(person.asked)) == ("well", 3, 2)


async def test_what_is_handed_back_names_its_run_and_the_call_that_comes_again_collects_it(home: Path) -> None:
    house = House(home)
    house.notes.write_text("dear\n")
    async with Client(house.server, elicitation_callback=Person(YES)) as client:
        house.opened[0].register("scripted", Scripted(call("figures__wipe"), "well"))
        arguments = {"prompt": "go", "model": "scripted:m", **WIPE}
        first = await client.session.call_tool("run_agent", arguments, allow_input_required=True)
        assert isinstance(first, InputRequiredResult)
        (key,) = first.input_requests or {}
        (run,) = (await runs(client, action="list"))["runs"]
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await client.session.call_tool(
                "run_agent", {**arguments, "prompt": "something else"}, request_state=first.request_state
            )
        again = await client.session.call_tool(
            "run_agent", arguments, request_state=first.request_state, allow_input_required=True
        )
        assert isinstance(again, InputRequiredResult)  # without an answer it is asked again
        done = await client.session.call_tool(
            "run_agent",
            arguments,
            input_responses={key: YES, "unasked": YES},
            request_state=again.request_state,
            allow_input_required=True,
        )
        listed = (await runs(client, action="list"))["runs"]
    assert run["status"] == "waiting"
    assert not isinstance(done, InputRequiredResult)
    assert done.structured_content is not None
    assert (done.structured_content["run_id"], done.structured_content["response"]) == (run["run_id"], "well")
    assert len(listed) == 1
    assert house.notes.read_text() == ""


async def test_a_host_that_never_answers_gets_an_answer_all_the_same(home: Path) -> None:
    house = House(home, agents={"approval_s": 0.3})
    house.notes.write_text("dear\n")
    async with Client(house.server, mode="legacy", elicitation_callback=Person(None)) as client:
        given = await house.call(client, Scripted(call("figures__wipe"), "well"), WIPE)
    assert (given["response"], house.notes.read_text()) == ("well", "dear\n")


async def test_a_host_that_never_comes_back_finds_the_run_ended_without_the_deed(home: Path) -> None:
    house = House(home, agents={"approval_s": 0.3})
    house.notes.write_text("dear\n")
    async with Client(house.server, elicitation_callback=Person(YES)) as client:
        house.opened[0].register("scripted", Scripted(call("figures__wipe"), "well"))
        arguments = {"prompt": "go", "model": "scripted:m", **WIPE}
        first = await client.session.call_tool("run_agent", arguments, allow_input_required=True)
        assert isinstance(first, InputRequiredResult)
        with anyio.fail_after(60):
            while (run := (await runs(client, action="list"))["runs"][0])["status"] in {"waiting", "running"}:
                await client.list_tools()
        done = await runs(client, action="read", run_id=run["run_id"])
    assert (done["response"], house.notes.read_text()) == ("well", "dear\n")


async def test_the_call_that_comes_again_after_a_restart_finds_its_run(home: Path) -> None:
    house = House(home)
    house.notes.write_text("dear\n")
    model, arguments = Scripted(call("figures__wipe"), "well"), {"prompt": "go", "model": "scripted:m", **WIPE}
    async with Client(house.server, elicitation_callback=Person(YES)) as client:
        house.opened[0].register("scripted", model)
        first = await client.session.call_tool("run_agent", arguments, allow_input_required=True)
        assert isinstance(first, InputRequiredResult)
    later = House(home)
    async with Client(later.server, elicitation_callback=Person(YES)) as client:
        later.opened[0].register("scripted", model)
        with anyio.fail_after(60):
            done = await client.session.call_tool(
                "run_agent",
                arguments,
                input_responses=dict.fromkeys(first.input_requests or {}, YES),
                request_state=first.request_state,
                allow_input_required=True,
            )
    assert not isinstance(done, InputRequiredResult)
    assert done.structured_content is not None, done
    assert (done.structured_content["response"], len(model.requests), later.notes.read_text()) == ("well", 2, "")


async def test_whoever_waits_for_a_run_that_asks_is_asked(home: Path) -> None:
    house, person = House(home), Person(YES)
    house.notes.write_text("dear\n")
    async with Client(house.server) as silent, Client(house.server, elicitation_callback=person) as client:
        house.opened[0].register("scripted", Scripted(call("figures__wipe"), "well"))
        waiting = await silent.call_tool("run_agent", {"prompt": "go", "model": "scripted:m", **WIPE})
        assert waiting.structured_content is not None
        assert waiting.structured_content["status"] == "waiting"
        done = await runs(client, action="wait", run_id=waiting.structured_content["run_id"])
    assert (done["response"], len(person.asked), house.notes.read_text()) == ("well", 1, "")


async def test_giving_up_the_wait_for_a_run_that_one_knows_leaves_the_run(home: Path) -> None:
    house, reached, go = House(home), anyio.Event(), anyio.Event()

    class Waits(Scripted):
        async def stream(self, request: Any, model: str) -> Any:
            if len(request.messages) > 1:
                reached.set()
                await go.wait()
            async for chunk in super().stream(request, model):
                yield chunk

    async with Client(house.server) as silent, Client(house.server, elicitation_callback=Person(YES)) as client:
        house.opened[0].register("scripted", Waits(call("figures__wipe"), "well"))
        waiting = await silent.call_tool("run_agent", {"prompt": "go", "model": "scripted:m", **WIPE})
        assert waiting.structured_content is not None
        run_id = waiting.structured_content["run_id"]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: runs(client, action="wait", run_id=run_id))
            with anyio.fail_after(60):
                await reached.wait()
            tasks.cancel_scope.cancel()
        go.set()
        done = await runs(silent, action="wait", run_id=run_id)
    assert (done["status"], done["response"]) == ("finished", "well")


async def test_giving_up_the_call_that_came_again_gives_up_the_run(home: Path) -> None:
    house, reached = House(home), anyio.Event()

    class Waits(Scripted):
        async def stream(self, request: Any, model: str) -> Any:
            if len(request.messages) > 1:
                reached.set()
                await anyio.sleep_forever()
            async for chunk in super().stream(request, model):
                yield chunk

    async with Client(house.server, elicitation_callback=Person(YES)) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(house.call, client, Waits(call("figures__wipe"), "well"), WIPE)
            with anyio.fail_after(60):
                await reached.wait()
            tasks.cancel_scope.cancel()
        (run,) = (await runs(client, action="list"))["runs"]
        done = await runs(client, action="wait", run_id=run["run_id"])
    assert done["status"] == "cancelled"


@pytest.fixture
def several(home: Path) -> Any:
    """Two models of one provider whose names are alike."""
    folder = configuration.load().folder / "providers"
    folder.mkdir(parents=True)
    (folder / "acme.toml").write_text(
        'name = "Acme"\nbase_url = "http://127.0.0.1:9"\nlocal = true\n'
        '[auth]\nrequired = false\n[wires]\nchat = "openai"\n[models.zebra-large]\n[models.zebra-larger]\n'
    )
    opened: list[Any] = []
    return build(configuration.load(overrides={"discover": False}), opened)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ElicitResult(action="accept", content={"model": "acme:zebra-larger"}), "acme"),
        (ElicitResult(action="accept", content={"model": "file:///etc/passwd"}), "no provider is known"),
        (CANCEL, "no provider is known"),
    ],
    ids=["picked", "not offered", "cancelled"],
)
async def test_a_model_that_could_be_several_is_chosen_by_the_person(
    several: Any, mode: Any, answer: Any, words: str
) -> None:
    person = Person(answer)
    async with Client(several, mode=mode, elicitation_callback=person) as client:
        with anyio.fail_after(60):
            result = await client.call_tool("generate", {"prompt": "hi", "model": "zebra-larg"})
    (asked,) = person.asked
    assert asked.requested_schema["properties"]["model"]["enum"] == ["acme:zebra-large", "acme:zebra-larger"]
    assert words in str(result.content[0].text)  # type: ignore[union-attr]


async def test_a_host_that_cannot_ask_gets_the_near_misses(several: Any, mode: Any) -> None:
    async with Client(several, mode=mode) as client:
        result = await client.call_tool("generate", {"prompt": "hi", "model": "zebra-larg"})
    assert result.is_error
    assert "Did you mean acme:zebra-large or acme:zebra-larger?" in str(result.content[0].text)  # type: ignore[union-attr]
