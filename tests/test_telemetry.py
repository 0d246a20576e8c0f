"""Spans by the SDK's own exporter: who stands below whom, what they hold, and that nothing that was said is in them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from agent.scripted import MODEL, PRICES, Scripted, call, do, opened, write_agent
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from mcp_llm import telemetry
from mcp_llm.agent.task import Task
from mcp_llm.errors import Overloaded
from mcp_llm.llm.embed import embed
from mcp_llm.llm.generate import Ask, generate
from mcp_llm.settings import Telemetry
from mcp_llm.toolsets.functions import Functions
from mcp_llm.types.chat import End
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

pytestmark = pytest.mark.anyio
TRACED = str(Path(__file__).with_name("agent") / "traced.py")


class Spans:
    """What was exported, by name."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> list[ReadableSpan]:
        return [*self._exporter.get_finished_spans()]

    def one(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.all() if span.name == name]
        return found

    def attributes(self, name: str) -> dict[str, Any]:
        return dict(self.one(name).attributes or {})

    def tree(self) -> list[tuple[str | None, str]]:
        """(the parent's name, the span's), sorted; spans of the SDK of MCP left out."""
        names = {span.context.span_id: span.name for span in self.all() if span.context}
        return sorted(
            (names.get(span.parent.span_id, "?") if span.parent else "", span.name)
            for span in self.all()
            if not span.name.startswith("MCP ")
        )


@pytest.fixture(scope="session")
def exporter() -> tuple[TracerProvider, InMemorySpanExporter]:
    """One for all: tracers remember the first provider they meet."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return provider, kept


@pytest.fixture
def spans(exporter: tuple[TracerProvider, InMemorySpanExporter], monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """A provider is configured, for this test only: the API itself can be told once a process."""
    provider, kept = exporter
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    kept.clear()
    yield Spans(kept)
    kept.clear()


def test_without_a_provider_there_is_no_span() -> None:
    assert telemetry.tracer(Telemetry()) is None


@pytest.mark.usefixtures("spans")
def test_without_the_users_wish_there_is_none_either() -> None:
    assert telemetry.tracer(Telemetry()) is not None
    assert telemetry.tracer(Telemetry(spans=False)) is None


async def test_a_model_call_is_a_span_with_the_names_of_the_conventions(home: Path, spans: Spans) -> None:
    end = End(
        stop="stop", usage=Usage(input=100, output=10, cached=30, cache_write=5, reasoning=4), model="m-2", id="r1"
    )
    async with opened(home, {"scripted": Scripted(["hello", end])}) as app:
        ask = Ask(prompt="private words", model=MODEL, max_tokens=50, temperature=0.5, stop=("secret stop",))
        result = await generate(app, ask)
    span = spans.one("chat m")
    found = spans.attributes("chat m")
    assert 0 <= found.pop("gen_ai.response.time_to_first_chunk") < 60
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "scripted",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.output.type": "text",
        "gen_ai.response.model": "m-2",
        "gen_ai.response.id": "r1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 30,
        "gen_ai.usage.cache_creation.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 4,
        "mcp_llm.cost.usd": result.cost.usd,
        "mcp_llm.run_id": result.run_id,
    }
    assert (span.kind, span.status.status_code, span.events) == (SpanKind.CLIENT, StatusCode.UNSET, ())


async def test_another_operation_has_its_own_name(home: Path, spans: Spans) -> None:
    async with opened(home, {}) as app:
        made = await embed(app, ["private words"], model="demo")
    found = spans.attributes("embeddings demo")
    assert (found["gen_ai.operation.name"], found["gen_ai.provider.name"]) == ("embeddings", "demo")
    assert (found["gen_ai.usage.input_tokens"], found["mcp_llm.run_id"]) == (made.usage.input, made.run_id)
    assert "private" not in spans.one("embeddings demo").to_json()


async def test_a_conversation_is_named(home: Path, spans: Spans) -> None:
    async with opened(home, {"scripted": Scripted("hello")}) as app:
        result = await generate(app, Ask(prompt="hi", model=MODEL, thread="new"))
    assert spans.attributes("chat m")["gen_ai.conversation.id"] == result.thread


async def test_a_failed_call_says_so_and_which_attempts_failed(home: Path, spans: Spans) -> None:
    first, second = Scripted(Overloaded("private words", status=529)), Scripted("hello")
    backends = {"scripted": first, "other": second}
    async with opened(home, backends, fallbacks=["other:n"], default=MODEL, retries={"attempts": 1}) as app:
        await generate(app, Ask(prompt="hi"))
        with pytest.raises(Overloaded):
            await generate(app, Ask(prompt="hi", model=MODEL))
    fell_back, failed = [span for span in spans.all() if span.name == "chat m"]
    assert (fell_back.attributes or {})["gen_ai.request.model"] == "n"
    assert (fell_back.attributes or {})["gen_ai.provider.name"] == "other"
    assert [(event.name, dict(event.attributes or {})) for event in fell_back.events] == [
        (
            "mcp_llm.attempt_failed",
            {
                "gen_ai.provider.name": "scripted",
                "gen_ai.request.model": "m",
                "error.type": "overloaded",
                "http.response.status_code": 529,
            },
        )
    ]
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, None)
    assert (failed.attributes or {})["error.type"] == "overloaded"
    assert (failed.attributes or {})["http.response.status_code"] == 529


async def test_run_model_tools_and_delegates_stand_where_they_belong(home: Path, spans: Spans) -> None:
    write_agent(home, "boss", 'description = "leads"\ndelegates = ["helper"]')
    write_agent(home, "helper", 'description = "helps"', "Help.")

    def add(a: int) -> int:
        return a

    asked = [call("add", {"a": 1}, "x"), call("add", {"a": 2}, "y"), call("ask_helper", {"task": "help me"}, "z")]
    model = Scripted(
        lambda request: "helped" if request.system == "Help." else asked if len(request.messages) == 1 else "done"
    )
    async with opened(home, {"scripted": model}) as app:
        result = await do(app, Task(prompt="go", model=MODEL, agent="boss"), toolsets=[Functions([add])])
    assert spans.tree() == [
        ("", "invoke_agent boss"),
        ("execute_tool ask_helper", "invoke_agent helper"),
        ("invoke_agent boss", "chat m"),
        ("invoke_agent boss", "chat m"),
        ("invoke_agent boss", "execute_tool add"),
        ("invoke_agent boss", "execute_tool add"),
        ("invoke_agent boss", "execute_tool ask_helper"),
        ("invoke_agent helper", "chat m"),
    ]
    assert len({span.context.trace_id for span in spans.all() if span.context}) == 1
    run = spans.attributes("invoke_agent boss")
    assert (run["gen_ai.conversation.id"], run["gen_ai.agent.name"]) == (result.run_id, "boss")
    assert (run["gen_ai.usage.input_tokens"], run["mcp_llm.turns"], run["mcp_llm.tool_calls"]) == (300, 2, 3)
    assert (run["gen_ai.response.finish_reasons"], run["mcp_llm.stop_reason"]) == (("stop",), "stop")
    assert spans.attributes("invoke_agent helper")["mcp_llm.parent_run"] == result.run_id
    calls: list[dict[str, Any]] = [
        dict(span.attributes or {}) for span in spans.all() if span.name == "execute_tool add"
    ]
    assert sorted(one["gen_ai.tool.call.id"] for one in calls) == ["x", "y"]
    assert {one["gen_ai.tool.type"] for one in calls} == {"function"}


async def test_an_mcp_server_is_given_the_trace_and_its_failure_is_the_spans(home: Path, spans: Spans) -> None:
    server = {"command": sys.executable, "args": [TRACED]}
    script = Scripted([call("traced__where", id="w"), call("traced__fail", id="f")], "done")
    async with opened(home, {"scripted": script}, servers={"traced": server}) as app:
        await do(app, Task(prompt="go", model=MODEL, servers=("traced",)))
    ours, failed = spans.one("execute_tool traced__where"), spans.one("execute_tool traced__fail")
    (told,) = [part.text for part in script.requests[1].messages[-1].parts if part.type == "tool_result"][:1]
    sent = spans.one("MCP send tools/call where")
    assert ours.context is not None
    assert sent.context is not None
    assert sent.parent is not None
    assert sent.parent.span_id == ours.context.span_id
    assert told.split("-")[1:3] == [f"{ours.context.trace_id:032x}", f"{sent.context.span_id:016x}"]
    assert (ours.attributes or {})["mcp_llm.server"] == "traced"
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, None)
    assert (failed.attributes or {})["error.type"] == "tool_error"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_what_a_tool_of_ours_asks_stands_below_the_call_of_it(home: Path, spans: Spans, mode: Any) -> None:
    from mcp import Client

    from mcp_llm import config
    from mcp_llm.server.build import build

    loaded = config.load(environment={"MCP_LLM_HOME": str(home)}, overrides={"discover": False})
    async with Client(build(loaded), mode=mode) as client:
        await client.call_tool("generate", {"prompt": "hi", "model": "demo"})
        await client.call_tool("run_agent", {"prompt": "hi", "model": "demo", "servers": []})
    tree = spans.tree()
    assert ("tools/call generate", "chat demo") in tree
    assert ("tools/call run_agent", "invoke_agent agent") in tree
    assert ("invoke_agent agent", "chat demo") in tree


async def test_a_run_that_fails_or_is_refused_has_the_status(home: Path, spans: Spans) -> None:
    async with opened(home, {"scripted": Scripted(["no", End(stop="content_filter", note="private words")])}) as app:
        with pytest.raises(Exception, match="private words"):
            await do(app, "go")
    run = spans.one("invoke_agent agent")
    assert (run.status.status_code, (run.attributes or {})["error.type"]) == (StatusCode.ERROR, "refused")


async def test_a_run_that_is_cancelled_ends_its_spans_in_their_order(
    home: Path, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    begun = anyio.Event()

    async def slow() -> str:
        begun.set()
        await anyio.sleep_forever()
        return ""

    async with opened(home, {"scripted": Scripted([call("slow", id="a"), call("slow", {}, "b")], "done")}) as app:
        async with anyio.create_task_group() as tasks:

            async def work() -> None:
                await do(app, "go", toolsets=[Functions([slow])])

            tasks.start_soon(work)
            with anyio.fail_after(30):
                await begun.wait()
            tasks.cancel_scope.cancel()
        assert trace.get_current_span() is trace.INVALID_SPAN
    ended = [(span.name, (span.attributes or {}).get("error.type")) for span in spans.all()]
    assert ended[0] == ("chat m", None)
    assert set(ended[1:-1]) == {("execute_tool slow", "cancelled")}
    assert ended[-1] == ("invoke_agent agent", "cancelled")
    assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []


def echo(line: str) -> str:
    return f"private result {line}"


async def traced(home: Path, **settings: Any) -> None:
    script = Scripted(call("echo", {"line": "private argument"}, "e"), "private answer")
    async with opened(home, {"scripted": script}, prices=PRICES, **settings) as app:
        task = Task(prompt="private prompt", instruction="private instruction", model=MODEL)
        await do(app, task, toolsets=[Functions([echo])])


async def test_nothing_that_was_said_is_in_a_span(home: Path, spans: Spans) -> None:
    await traced(home)
    assert len(spans.all()) == 4
    for span in spans.all():
        assert "private" not in span.to_json()


async def test_what_was_said_is_there_where_the_user_wants_it(home: Path, spans: Spans) -> None:
    await traced(home, telemetry={"content": True})
    run, tool = spans.attributes("invoke_agent"), spans.attributes("execute_tool echo")
    chat: list[dict[str, Any]] = [dict(span.attributes or {}) for span in spans.all() if span.name == "chat m"]
    asked = {"role": "user", "parts": [{"type": "text", "content": "private prompt"}]}
    called = {"type": "tool_call", "id": "e", "name": "echo", "arguments": '{"line": "private argument"}'}
    given = {"type": "tool_call_response", "id": "e", "response": "private result private argument"}
    assert json.loads(run["gen_ai.input.messages"]) == [asked]
    assert json.loads(run["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "private answer"}]
    assert json.loads(tool["gen_ai.tool.call.arguments"]) == {"line": "private argument"}
    assert tool["gen_ai.tool.call.result"] == "private result private argument"
    assert json.loads(chat[0]["gen_ai.system_instructions"])[0]["content"] == "private instruction"
    assert json.loads(chat[0]["gen_ai.tool.definitions"])[0]["name"] == "echo"
    assert json.loads(chat[1]["gen_ai.input.messages"]) == [
        asked,
        {"role": "assistant", "parts": [called]},
        {"role": "tool", "parts": [given]},
    ]
    assert json.loads(chat[1]["gen_ai.output.messages"])[0]["finish_reason"] == "stop"


async def test_a_replay_tells_nobody_that_a_model_was_asked(home: Path, spans: Spans) -> None:
    from mcp_llm.agent.replaying import replay
    from mcp_llm.runs import recording

    async with opened(home, {"scripted": Scripted(call("echo", {"line": "x"}), "hello")}) as app:
        result = await do(app, "go", toolsets=[Functions([echo])])
        before = len(spans.all())
        await replay(app, await recording.take(app.journals, result.run_id, "local"))
    assert len(spans.all()) == before
