"""Providers as objects: one way to call them, as methods of workflows, as tools of agents and as models."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from agent.scripted import Scripted, call, opened, results
from agent.scripted import do as run_agent
from workflow.work import do, summary

import mcp_llm
from mcp_llm.agent.task import Task
from mcp_llm.errors import (
    ConfigError,
    Denied,
    Disconnected,
    InvalidInput,
    Timeout,
    ToolFailed,
    UnsupportedMethod,
    WorkflowError,
)
from mcp_llm.llm.generate import Ask, generate
from mcp_llm.toolsets.protocol import ProtocolProvider, Provided, request, spelled

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.app import App

pytestmark = pytest.mark.anyio
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class Weather(ProtocolProvider):
    """Knows the weather and how to talk."""

    def __init__(self, provider_id: str = "weather") -> None:
        super().__init__(provider_id, "weather/v1", description="the weather")
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.begun = self.ended = 0

    async def initialize(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.begun += 1

    async def shutdown(self) -> None:
        self.ended += 1

    def get_supported_methods(self) -> list[str]:
        return ["weather/now", "weather/fail", "llm/chat"]

    def get_method_schema(self, method: str) -> dict[str, Any]:
        if method != "weather/now":
            return {}
        city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        return {"description": "the weather of a city", "parameters": city, "read_only": True}

    async def handle_request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((method, params))
        if method == "weather/now":
            return {"response": f"sun in {params['city']}", "degrees": 20}
        if method == "llm/chat":
            return {"response": f"you said {params['messages'][-1]['content']}", "tokens_used": 7}
        raise params.get("error") or RuntimeError("a bug")


async def asked(app: App, provider: Any, method: str, params: dict[str, Any]) -> dict[str, Any]:
    return await request(provider, method, params, attach=app.attachments)


@pytest.mark.parametrize(
    ("method", "name"),
    [("weather/now", "weather/now"), ("now", "weather/now"), ("llm/chat", "llm/chat"), ("chat", "llm/chat")],
)
async def test_bare_and_prefixed_names_are_understood(method: str, name: str) -> None:
    assert spelled(Weather(), method) == name


async def test_an_unknown_method_is_a_value_error_in_the_words_of_the_protocol(home: Path) -> None:
    async with opened(home, {}) as app:
        with pytest.raises(ValueError, match=r"^Unsupported method: rain; there are weather/now") as caught:
            await asked(app, Weather(), "rain", {})
        assert isinstance(caught.value, UnsupportedMethod)

        class Own:
            def handle_request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
                raise ValueError(f"Unsupported method: {method}")

        with pytest.raises(UnsupportedMethod, match=r"^Unsupported method: any/thing$"):
            await asked(app, Own(), "any/thing", {})


async def test_an_answer_in_words_has_every_field_of_one(home: Path) -> None:
    async with opened(home, {}) as app:
        chat = await asked(app, Weather(), "chat", {"messages": [{"role": "user", "content": "hi"}]})
        now = await asked(app, Weather(), "now", {"city": "Rome"})
    assert chat == {
        "response": "you said hi",
        "content": "you said hi",
        "model": None,
        "provider_id": "weather",
        "tokens_used": 7,
        "metadata": {},
    }
    assert now == {"response": "sun in Rome", "degrees": 20}


async def test_files_are_read_beneath_the_allowed_folders_only(home: Path) -> None:
    work = home.parent / "work"
    (work / "a.txt").write_text("attached words")
    (work / "a.png").write_bytes(PNG)
    provider = Weather()
    turns = [{"role": "user", "content": "look"}]
    async with opened(home, {}) as app:
        await asked(app, provider, "chat", {"messages": turns, "file_path": "a.txt", "image_path": "a.png"})
        await asked(app, provider, "now", {"city": "x", "prompt": "say", "file_path": "a.txt"})
        for path in ("../home/state.db", "/etc/passwd"):
            with pytest.raises(Denied):
                await asked(app, provider, "chat", {"messages": turns, "file_path": path})
    (_, chat), (_, now) = provider.asked
    assert chat["messages"][0]["content"].startswith("look\n\n[file")
    assert "attached words" in chat["messages"][0]["content"]
    assert (chat["images"], chat["image_data"]) == ([base64.b64encode(PNG).decode()], base64.b64encode(PNG).decode())
    assert now["prompt"].startswith("say\n\n[file")
    assert turns == [{"role": "user", "content": "look"}]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (None, ToolFailed, "weather failed at weather/fail: RuntimeError: a bug"),
        (TimeoutError(), Timeout, "weather: it took too long"),
        (ConnectionResetError("reset"), Disconnected, "weather: reset"),
        (InvalidInput("ours"), InvalidInput, "ours"),
    ],
)
async def test_what_it_raises_is_an_error_of_ours(
    home: Path, error: Exception | None, kind: type[Exception], words: str
) -> None:
    async with opened(home, {}) as app:
        with pytest.raises(kind) as caught:
            await asked(app, Weather(), "fail", {"error": error})
    assert str(caught.value) == words


@pytest.mark.parametrize("answer", [object(), float("nan"), {"x": {1j}}])
async def test_an_answer_that_json_cannot_say_is_a_failure(home: Path, answer: Any) -> None:
    class Odd:
        def handle_request(self, method: str, params: dict[str, Any]) -> Any:
            return answer

    async with opened(home, {}) as app:
        with pytest.raises(ToolFailed, match="Odd failed at x"):
            await asked(app, Odd(), "x", {})


WORKFLOW = """
name: weather
tasks:
- {id: now, method: weather/now, parameters: {city: Rome}}
- {id: same, method: weather/weather/now, parameters: {city: "${now.degrees}"}}
- {id: talk, method: weather/chat, parameters: {messages: [{role: user, content: "${now.response}"}]}}
- {id: model, method: llm/generate, parameters: {prompt: "${talk.response}", model: "weather:any"}}
- {id: bad, method: weather/fail, retry: 3}
"""


async def test_its_methods_are_those_of_workflows_and_it_is_a_model(home: Path) -> None:
    provider = Weather()
    async with opened(home, {"weather": provider}) as app:
        result = await do(app, WORKFLOW.replace('"${now.degrees}"', "Bonn"))
        info = await app.journals.get(result.run_id, "local")
        assert provider.begun == 1
    assert summary(result) == {
        **dict.fromkeys(("now", "same", "talk", "model"), "completed"),
        "bad": "failed: weather failed at weather/fail: RuntimeError: a bug",
    }
    assert result.task("model").result["response"] == "you said you said sun in Rome"
    assert result.task("bad").metadata["attempts"] == 1
    assert info.kind == "workflow.bound"
    assert (provider.begun, provider.ended) == (1, 1)


async def test_its_parameters_are_checked_before_anything_runs(home: Path) -> None:
    async with opened(home, {"weather": Weather()}) as app:
        with pytest.raises(mcp_llm.Error, match="line 3: task a: `city` is missing"):
            await do(app, "name: x\ntasks:\n- {id: a, method: weather/now}\n")


async def test_its_methods_are_tools_of_an_agent(home: Path) -> None:
    provider = Weather()
    model = Scripted(call("weather__now", {"city": "Oslo"}), call("weather__fail", {}, "f"), "done")
    async with opened(home, {"scripted": model, "weather": provider}) as app:
        tools = Provided(app.backends.speakers(), attach=app.attachments, ready=app.backends.ready)
        answer = await run_agent(app, Task(prompt="go", model="scripted:m", servers=()), toolsets=[tools])
    assert answer.response == "done"
    assert results(model.requests[1]) == [("c_weather__now", "sun in Oslo", False)]
    assert results(model.requests[2])[0][1:] == ("weather failed at weather/fail: RuntimeError: a bug", True)
    offered = {tool.name: tool.description for tool in model.requests[0].tools}
    assert offered.keys() == {"read_more", "weather__now", "weather__fail", "weather__chat"}
    assert offered["weather__now"] == "the weather of a city"


class Silent(Weather):
    """Cannot say what it can do."""

    def get_supported_methods(self) -> list[str]:
        raise RuntimeError("not yet")


class Odd(Weather):
    """Cannot say how it is called."""

    def get_method_schema(self, method: str) -> dict[str, Any]:
        return {"parameters": {"type": "object", "default": {1, 2}}}


async def test_an_object_that_cannot_say_what_it_can_do_costs_its_own_tools_only(home: Path) -> None:
    silent = "Silent failed at get_supported_methods: RuntimeError: not yet"
    model = Scripted("done")
    providers = {"scripted": model, "silent": Silent(), "odd": Odd(), "weather": Weather()}
    async with opened(home, providers) as app:
        tools = Provided(app.backends.speakers(), attach=app.attachments, ready=app.backends.ready)
        answer = await run_agent(app, Task(prompt="go", model="scripted:m", servers=()), toolsets=[tools])
        assert [tool.name for tool in await tools.list()] == ["weather__now", "weather__fail", "weather__chat"]
        with pytest.raises(WorkflowError) as caught:
            await do(app, "name: x\ntasks:\n- {id: a, method: silent/now}\n")
        with pytest.raises(ToolFailed, match=f"^{silent}$"):
            await asked(app, Silent(), "now", {})
        assert (await do(app, WORKFLOW)).task("now").result["response"] == "sun in Rome"
    assert f"The provider 'silent' offers no methods: {silent}." in str(caught.value)
    odd = "Odd failed at get_method_schema('weather/now'): TypeError: Object of type set is not JSON serializable"
    assert answer.warnings[-2:] == (
        f"The provider 'silent' offers no tools: {silent}",
        f"The provider 'odd' offers no tools: {odd}",
    )


async def test_one_that_speaks_no_llm_is_no_model(home: Path) -> None:
    class Mute(Weather):
        def get_supported_methods(self) -> list[str]:
            return ["weather/now"]

    async with opened(home, {"mute": Mute("mute")}) as app:
        with pytest.raises(ConfigError, match="answers no prompts; it has weather/now"):
            await generate(app, Ask("hi", model="mute:x"))


async def test_run_agent_in_python_takes_registered_providers_by_name(home: Path, closing: None) -> None:
    mcp_llm.register_provider("weather", Weather())
    mcp_llm.register_provider("scripted", Scripted(call("weather__now", {"city": "Rome"}), "done"))
    config = {"prompt": "go", "model": "scripted:m", "disable_mcp": True}
    assert await mcp_llm.run_agent({**config, "providers": ["weather"]}) == "done"
    with pytest.raises(InvalidInput, match="no provider with `handle_request` is registered as 'whether'"):
        await mcp_llm.run_agent({**config, "providers": "whether"})


@pytest.fixture
async def closing() -> Any:
    from mcp_llm.background import opened as services

    yield
    services._registered.clear()
    await services.close()
