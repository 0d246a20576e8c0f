"""A real engine in this process: llama.cpp on a model that the test writes. Streams, limits, shapes, tools, memory."""

from __future__ import annotations

import threading
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from faults import asking as scripted
from faults.asking import Asking, failing, rows

from mcp_llm.errors import ConfigError, NotFound, Unsupported
from mcp_llm.llm.answer import Job
from mcp_llm.llm.backends.gguf import Engine, Gguf
from mcp_llm.llm.embed import embed
from mcp_llm.llm.listing import list_models
from mcp_llm.settings import Gguf as Settings
from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import user

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

tiny = pytest.importorskip("llm.tiny", reason="the packages gguf and numpy are not there")
xllamacpp = pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
pytestmark = pytest.mark.anyio


PATIENT = {"connect": 60.0, "first_byte": 60.0, "idle": 60.0, "total": 60.0}
"""An engine computes for as long as the machine lets it; a scripted provider does not."""
ask = partial(scripted.ask, within_s=60)


@pytest.fixture
def asking(asking: Asking) -> Asking:
    asking.timeouts = PATIENT
    return asking


@pytest.fixture
def model(home: Path) -> Path:
    """A model in the models folder."""
    folder = home / "models"
    folder.mkdir()
    tiny.write(folder / "tiny.gguf")
    return folder / "tiny.gguf"


async def test_it_answers_and_counts_and_costs_nothing(asking: Asking, model: Path) -> None:
    async with asking.open() as service:
        result = await ask(service, "gguf:tiny", max_tokens=12)
        listed = await list_models(service, provider="gguf")
        told = await rows(service)
    assert (result.provider, result.model_used, result.cost.usd, result.cost.source) == ("gguf", "tiny", 0.0, "local")
    assert (result.usage.output, result.finish_reason) in {(12, "length"), (result.usage.output, "stop")}
    assert result.usage.input is not None
    assert result.usage.input > 5
    assert [(row.model, row.configured, row.local) for row in listed.models] == [("gguf:tiny", True, True)]
    assert told == [("gguf", "ok")]
    assert str(model.parent) not in result.model_dump_json()


async def test_without_a_key_it_comes_before_the_demo(asking: Asking, model: Path) -> None:
    async with asking.open() as service:
        plan = await service.plan(None, None)
    assert [target.name for target in plan.targets] == ["gguf:tiny"]


async def test_the_same_seed_says_the_same_and_a_limit_and_a_stop_word_hold(asking: Asking, model: Path) -> None:
    how: dict[str, Any] = {"sampling": {"seed": 7}, "temperature": 1.0, "max_tokens": 40}
    async with asking.open() as service:
        first, second = [await ask(service, "gguf:tiny", **how) for _ in range(2)]
        middle = first.response[len(first.response) // 2]
        stopped = await ask(service, "gguf:tiny", **how, stop=[middle])
    assert first.response == second.response
    assert stopped.response == first.response.partition(middle)[0]
    assert stopped.finish_reason == "stop"


async def test_an_answer_in_a_schema_is_held_to_it_by_grammar(asking: Asking, model: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"yes": {"type": "boolean"}, "size": {"enum": ["small", "large"]}},
        "required": ["yes", "size"],
        "additionalProperties": False,
    }
    async with asking.open() as service:
        result = await ask(service, "gguf:tiny", json_schema=schema, max_tokens=200)
    assert result.parsed["yes"] in {True, False}
    assert result.parsed["size"] in {"small", "large"}


async def test_a_tool_that_is_demanded_is_called(asking: Asking, model: Path) -> None:
    look = ToolSpec(
        name="look", parameters={"type": "object", "properties": {"far": {"type": "boolean"}}, "required": ["far"]}
    )
    async with asking.open() as service:
        result = await ask(service, "gguf:tiny", tools=[look], tool_choice="required", max_tokens=200)
    assert result.tool_calls is not None
    assert result.tool_calls[0].name == "look"
    assert isinstance(result.tool_calls[0].arguments["far"], bool)


async def test_texts_become_vectors_that_stand_near_their_like(asking: Asking, model: Path) -> None:
    async with asking.open() as service:
        with anyio.fail_after(60):
            made = await embed(service, ["one two", "one two", "%%%"], model="gguf:tiny")
            with pytest.raises(Unsupported, match="vectors of one length"):
                await embed(service, "x", dimensions=3, model="gguf:tiny")
    first, same, other = made.embeddings
    assert (made.count, made.dimensions, made.model_used, made.cost.usd) == (3, tiny.WIDTH, "tiny", 0.0)
    assert first == same
    assert sum(a * b for a, b in zip(first, other, strict=True)) < 0.999
    assert made.usage.input


async def test_the_engines_own_server_is_asked_through_the_compatible_wire(asking: Asking, model: Path) -> None:
    """The same engine behind HTTP, as people run it: streaming, limits, stop words, shapes, embeddings, usage."""
    servers = []
    for embedding in (False, True):
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(model)
        parameters.n_ctx = 2048
        parameters.embedding = embedding
        if embedding:
            parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        parameters.verbosity = 0
        servers.append(xllamacpp.Server(parameters))
    chat, vectors = (f"{server.listening_address}/v1" for server in servers)
    asking.provider("there", chat, '[quirks.chat]\njson_schema = "plain"\nmax_tokens_field = "max_tokens"\n')
    asking.provider("apart", vectors)
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
    async with asking.open() as service:
        inside = await ask(service, "gguf:tiny", temperature=0.0, max_tokens=20)
        outside = await ask(service, "there:m", temperature=0.0, max_tokens=20)
        middle = outside.response[len(outside.response) // 2]
        stopped = await ask(service, "there:m", temperature=0.0, max_tokens=20, stop=[middle])
        shaped = await ask(service, "there:m", json_schema=schema, max_tokens=100)
        embedded = await embed(service, ["one", "two"], model="apart:m")
    assert outside.response == inside.response
    assert (outside.usage.input, outside.usage.output) == (inside.usage.input, inside.usage.output)
    assert stopped.response == outside.response.partition(middle)[0]
    assert shaped.parsed["yes"] in {True, False}
    assert (embedded.count, embedded.dimensions) == (2, tiny.WIDTH)


async def test_several_at_once_share_one_engine(asking: Asking, model: Path) -> None:
    found = []

    async def one(service: Any) -> None:
        found.append(await ask(service, "gguf:tiny", max_tokens=20))

    async with asking.open() as service, anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(one, service)
    assert len(found) == 6
    assert all(result.usage.output for result in found)


async def test_whoever_stops_reading_stops_the_engine(asking: Asking, model: Path) -> None:
    request = ChatRequest(messages=(user("hi"),), max_tokens=1_000_000, options={"ignore_eos": True})
    with anyio.fail_after(60):
        async with asking.open(gguf={"parallel": 1}) as service:
            plan = await service.plan("gguf:tiny", None)
            async with service.llm.stream(request, plan, Job("run")) as answer:
                async for _ in answer.batches():
                    break
            after = await ask(service, "gguf:tiny", max_tokens=3)  # the only place is free again
    assert after.usage.output


async def test_pieces_on_their_way_when_the_reader_leaves_are_let_go(model: Path) -> None:
    engine = Engine(model, Settings(parallel=1))
    more, real, made = threading.Event(), engine._server, 0

    class Counted:
        """The real engine; says when it has handed over several pieces."""

        def handle_chat_completions(self, body: dict[str, Any], pass_on: Callable[[dict[str, Any]], bool]) -> None:
            def one(piece: dict[str, Any]) -> bool:
                nonlocal made
                enough = pass_on(piece)
                made += 1
                if made == 20:
                    more.set()
                return enough

            real.handle_chat_completions(body, one)

    engine._server = Counted()
    wanted = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100, "ignore_eos": True, "stream": True}
    async with aclosing(engine.chat(wanted)) as pieces:
        async for _ in pieces:
            assert more.wait(60)  # the loop is held, so that what was handed over waits in it
            break
    await anyio.lowlevel.checkpoint()  # a piece that still looked for its reader would fail the test here
    engine.close()


async def test_memory_is_given_back_when_idle_and_at_the_end(model: Path) -> None:
    backend = Gguf([model.parent], Settings(keep_s=0.05))
    request = ChatRequest(messages=(user("hi"),), max_tokens=3)
    with anyio.fail_after(60):
        assert [chunk async for chunk in backend.stream(request, "tiny")]
        (engine,) = backend._engines.values()
        while not engine.closed:  # noqa: ASYNC110 - a timer of the engine's own
            await anyio.sleep(0.01)
        assert [chunk async for chunk in backend.stream(request, "tiny")]
        (again,) = backend._engines.values()
        await backend.aclose()
    assert (again is not engine, again.closed, backend._engines) == (True, True, {})


async def test_a_missing_file_and_one_that_is_no_model_are_told(asking: Asking, model: Path) -> None:
    (model.parent / "broken.gguf").write_bytes(b"GGUF and then nothing")
    async with asking.open() as service:
        missing = await failing(service, "gguf:other")
        broken = await failing(service, "gguf:broken")
    assert isinstance(missing, NotFound)
    assert "there are: broken, tiny" in str(missing)
    assert isinstance(broken, ConfigError)
    assert str(broken).startswith("broken.gguf cannot be loaded")
    assert str(model.parent) not in str(broken)


async def test_parts_and_projectors_are_no_models_of_their_own(tmp_path: Path) -> None:
    for name in ("a-00001-of-00002", "a-00002-of-00002", "mmproj-a", "b"):
        (tmp_path / f"{name}.gguf").touch()
    assert list(Gguf([tmp_path, tmp_path / "none"], Settings()).files()) == ["a-00001-of-00002", "b"]
