"""The Python functions as a program uses them: sync, async, streaming, and providers of one's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import mcp_llm
from mcp_llm.background import background, opened
from mcp_llm.errors import (
    ConfigError,
    Denied,
    InvalidInput,
    MissingKey,
    Overloaded,
    SchemaMismatch,
    UnknownModel,
    UnknownProvider,
)
from mcp_llm.types.chat import ChatRequest, Delta, End
from mcp_llm.types.message import Text, user

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from mcp_llm.types.chat import Chunk

NOTICE = "This is mcp-llm's built-in demo, not a language model."
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"


@pytest.fixture(autouse=True)
def _fresh(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test has its own home, so what the background loop has open ends with the test."""
    monkeypatch.setenv("MCP_LLM_DISCOVER", "0")
    yield
    background.close()


@pytest.fixture
async def closing() -> AsyncIterator[None]:
    """The same for the test's own loop."""
    yield
    await opened.close()


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


def test_generate_outside_of_a_loop_gives_the_text() -> None:
    assert mcp_llm.generate("hello there", model="demo") == f"{NOTICE} It was given 2 words: hello there"


@pytest.mark.anyio
async def test_sync_functions_work_inside_a_running_loop() -> None:
    assert mcp_llm.generate("hello there", model="demo") == f"{NOTICE} It was given 2 words: hello there"
    assert "".join(mcp_llm.stream("hello there", model="demo")) == f"{NOTICE} It was given 2 words: hello there"
    assert mcp_llm.get_provider("demo").is_available()


@pytest.mark.anyio
async def test_async_functions_run_side_by_side_on_one_service(closing: None) -> None:
    answers: dict[int, str] = {}

    async def ask(number: int) -> None:
        answers[number] = await mcp_llm.agenerate(f"number {number}", model="demo")

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(ask, number)
    assert answers == {number: f"{NOTICE} It was given 2 words: number {number}" for number in range(10)}


def test_sync_functions_work_in_many_threads_at_once() -> None:
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(mcp_llm.generate("hi", model="demo"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [f"{NOTICE} It was given 1 word: hi"] * 8


def test_a_result_carries_its_receipt() -> None:
    result = mcp_llm.generate_result("hi", model="demo")
    assert isinstance(result, mcp_llm.Generated)
    assert (result.provider, result.model_used, result.finish_reason) == ("demo", "demo", "stop")
    assert (result.usage.input, result.usage.output, result.usage.estimated) == (1, 15, True)
    assert (result.cost.usd, result.cost.source) == (0, "local")
    assert result.receipt.endswith(f"run {result.run_id}")


def test_what_is_set_reaches_the_provider_and_nothing_else_does() -> None:
    provider = Recording()
    mcp_llm.register_provider("recording", provider)
    mcp_llm.generate("hi", model="recording:m")
    mcp_llm.generate(
        "hi",
        model="recording:m",
        temperature=0.5,
        max_output_tokens=9,
        system_instruction="be brief",
        effort="low",
        top_p=0.9,
        seed=7,
        stop="END",
        logit_bias={"1": 2},
    )
    (bare, model), (full, _) = provider.requests
    assert model == "m"
    assert bare == ChatRequest(messages=(user("hi"),))
    assert full == ChatRequest(
        messages=(user("hi"),),
        system="be brief",
        temperature=0.5,
        max_tokens=9,
        effort="low",
        top_p=0.9,
        seed=7,
        stop=("END",),
        options={"logit_bias": {"1": 2}},
    )


def test_contents_may_be_text_parts_messages_bytes_and_pictures(tmp_path: Path) -> None:
    class Picture:
        """What PIL's images have."""

        format = "PNG"

        def save(self, file: Any, format: str | None = None) -> None:
            file.write(PNG)

    provider = Recording()
    mcp_llm.register_provider("looking", provider)
    (tmp_path / "work" / "a.png").write_bytes(PNG)
    mcp_llm.generate(["one ", mcp_llm.Text("two"), PNG, Picture()], model="looking:m", files=["a.png"])
    mcp_llm.generate(
        [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}, "three"], "looking:m"
    )
    (pictured, _), (talked, _) = provider.requests
    parts = pictured.messages[0].parts
    assert [type(part) for part in parts] == [Text, Text, mcp_llm.Media, mcp_llm.Media, mcp_llm.Media]
    assert {part.mime for part in parts if isinstance(part, mcp_llm.Media)} == {"image/png"}
    assert [(message.role, message.text) for message in talked.messages] == [
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
    ]


def test_a_schema_gives_parsed_data() -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 18}}, "required": ["age"]}
    assert mcp_llm.generate_result("who?", model="demo", json_schema=schema).parsed == {"age": 18}
    assert mcp_llm.generate_result("who?", model="demo", json_output=True).parsed == {
        "notice": NOTICE,
        "you_wrote": "who?",
    }


def test_an_answer_that_does_not_fit_the_schema_is_an_error_with_the_text() -> None:
    mcp_llm.register_provider("stubborn", Recording())
    with pytest.raises(SchemaMismatch) as caught:
        mcp_llm.generate("who?", model="stubborn:m", json_schema={"type": "object"})
    assert caught.value.text == "noted"


def test_tools_are_given_as_specs_and_come_back_as_calls() -> None:
    weather = mcp_llm.ToolSpec(
        name="weather",
        description="the weather of a city",
        parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    )
    result = mcp_llm.generate_result("weather in Rome", model="demo", tools=[weather])
    assert result.tool_calls is not None
    assert [(call.name, call.arguments) for call in result.tool_calls] == [("weather", {"city": "weather in Rome"})]


def test_a_thread_remembers() -> None:
    first = mcp_llm.generate_result("one", model="demo", thread="new")
    second = mcp_llm.generate_result("two", model="demo", thread=first.thread)
    assert (second.thread, second.request_id) == (first.thread, "demo-3")


def test_a_stream_gives_pieces_and_then_its_result() -> None:
    stream = mcp_llm.stream("hello there", model="demo", max_output_tokens=4)
    assert "".join(list(stream)) == "This is mcp-llm's built-in "
    assert stream.result is not None
    assert (stream.result.response, stream.result.finish_reason) == ("This is mcp-llm's built-in ", "length")


def test_leaving_a_stream_early_stops_the_provider() -> None:
    provider = Endless()
    mcp_llm.register_provider("endless", provider)
    stream = mcp_llm.stream("go", model="endless:m")
    for count, piece in enumerate(stream):
        assert piece.startswith("again ")
        if count == 3:
            break
    assert provider.stopped.wait(10)
    assert stream.result is None
    assert mcp_llm.generate("still there?", model="demo").startswith(NOTICE)


@pytest.mark.anyio
async def test_leaving_an_async_stream_early_stops_the_provider(closing: None) -> None:
    provider = Endless()
    mcp_llm.register_provider("endless2", provider)
    with anyio.fail_after(10):
        async with mcp_llm.stream("go", model="endless2:m") as pieces:
            async for piece in pieces:
                assert piece.startswith("again ")
                break
    assert provider.stopped.is_set()


@pytest.mark.anyio
async def test_a_stream_that_fails_gives_what_came_and_then_the_error(closing: None) -> None:
    mcp_llm.register_provider("failing", Failing())
    got: list[str] = []
    with pytest.raises(Overloaded, match="out of order") as caught:
        async with mcp_llm.stream("go", model="failing:m") as pieces:
            got.extend([piece async for piece in pieces])
    assert caught.value.partial == "half an "


def test_a_sync_stream_raises_its_error_too() -> None:
    mcp_llm.register_provider("failing2", Failing())
    got: list[str] = []
    with pytest.raises(mcp_llm.Error, match="out of order"):
        got.extend(mcp_llm.stream("go", model="failing2:m"))
    assert got == ["half an "]


def test_a_provider_may_have_any_of_three_shapes_as_object_or_class() -> None:
    mcp_llm.register_provider("one", Messages)
    mcp_llm.register_provider("two", Prompts())
    given: dict[str, Any] = {"temperature": 0.5, "max_output_tokens": 9}
    assert mcp_llm.generate("hello", "one:m", system_instruction="be brief", **given) == "from messages"
    assert mcp_llm.generate("hello", "two:m", **given) == "m was given 'hello' at 0.5 and [('max_tokens', 9)]"
    assert mcp_llm.generate("hello", "two:vendor/name-1.5") == "vendor/name-1.5 was given 'hello' at None and []"


def test_what_cannot_be_a_provider_is_refused_at_once_and_spoils_nothing() -> None:
    with pytest.raises(ConfigError, match=r"object is no provider: it needs `stream\(request, model\)`"):
        mcp_llm.register_provider("shapeless", object())
    with pytest.raises(ConfigError, match="'two words' is no provider name"):
        mcp_llm.register_provider("two words", Prompts())
    assert mcp_llm.generate("hi", model="demo").startswith(NOTICE)


def test_a_provider_registered_later_replaces_the_first() -> None:
    mcp_llm.register_provider("changing", Failing())
    with pytest.raises(mcp_llm.Error):
        mcp_llm.generate("hello", model="changing:m")
    mcp_llm.register_provider("changing", Recording())
    assert mcp_llm.generate("hello", model="changing:m") == "noted"


def test_a_registered_provider_is_used_through_its_handle_too() -> None:
    provider = Recording()
    mcp_llm.register_provider("mine", provider)
    handle = mcp_llm.get_provider("mine")
    assert handle.is_available()
    assert handle.generate("hello", "m") == "noted"
    assert handle.generate("hello", "mine:m") == "noted"
    assert handle.generate("hello") == "noted"
    assert [model for _, model in provider.requests] == ["m", "m", "default"]


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A model server on this machine with one model; gives the model's name."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Not on stderr."""

        def do_GET(self) -> None:
            self.reply({"models": [{"name": "cow:8b", "model": "cow:8b"}]})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            message = {"role": "assistant", "content": f"moo, says {asked['model']}"}
            self.reply({"model": asked["model"], "message": message, "done": True, "done_reason": "stop"})

        def reply(self, data: dict[str, Any]) -> None:
            body = json.dumps(data).encode() + b"\n"
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("MCP_LLM_DISCOVER", "1")
        monkeypatch.setenv("OLLAMA_HOST", f"http://127.0.0.1:{server.server_port}")
        yield "cow:8b"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["ollama:pro", "ollama", "ollama:cow:8b", "balanced"])
def test_a_server_on_this_machine_answers_by_its_name_and_by_tier(ollama: str, name: str) -> None:
    assert mcp_llm.generate("hi", model=name) == f"moo, says {ollama}"
    assert mcp_llm.get_provider("ollama").generate("hi") == f"moo, says {ollama}"


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[[str, str], subprocess.CompletedProcess[str]]:
    """Installs a package with the provider `acme` of this code, then asks for a model on the command line."""

    def ask(code: str, model: str) -> subprocess.CompletedProcess[str]:
        site = tmp_path / "site"
        info = site / "acme_llm-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-llm\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[mcp_llm.providers]\nacme = acme_llm:Acme\ndemo = acme_llm:Acme\n")
        (site / "acme_llm.py").write_text(code)
        environment = {"PATH": os.environ["PATH"], "MCP_LLM_HOME": str(tmp_path), "MCP_LLM_DISCOVER": "0"}
        return subprocess.run(
            [sys.executable, "-m", "mcp_llm", "ask", "--model", model, "hello"],
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            env={**environment, "PYTHONPATH": str(site)},
            cwd=tmp_path,
            timeout=60,
        )

    return ask


ACME = "class Acme:\n    def completion(self, prompt, model):\n        return f'acme {model} read {prompt}'\n"


@pytest.mark.parametrize(
    ("code", "model", "answer"),
    [
        (ACME, "acme:large", (0, "acme large read hello\n", "")),
        (ACME, "demo", (0, f"{NOTICE} It was given 1 word: hello\n", "")),
        ("import nothing_of_this_name", "acme:large", (2, "", "acme")),
        ("", "acme:large", (2, "", "cannot be loaded")),
    ],
    ids=["works", "takes no name of ours", "imports what is not there", "lacks what it promised"],
)
def test_an_installed_plugin_is_a_provider(plugin: Any, code: str, model: str, answer: tuple[int, str, str]) -> None:
    done = plugin(code, model)
    assert (done.returncode, done.stdout) == answer[:2], done.stderr
    assert answer[2] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.anyio
async def test_a_handle_understands_protocol_requests(closing: None, tmp_path: Path) -> None:
    (tmp_path / "work" / "a.png").write_bytes(PNG)
    (tmp_path / "work" / "a.txt").write_text("attached words")
    provider = Recording()
    mcp_llm.register_provider("asked", provider)
    handle = mcp_llm.get_provider("demo")
    answer = await handle.handle_request("llm/generate", {"prompt": "hi", "model": "demo"})
    chat = await handle.handle_request("chat", {"messages": [{"role": "user", "content": "hi"}]})
    with_files = {"prompt": "look", "model": "m", "file_path": "a.txt", "image_path": "a.png"}
    await mcp_llm.get_provider("asked").handle_request("generate", with_files)
    assert (answer["content"], answer["model"], answer["provider_id"], answer["tokens_used"]) == (
        f"{NOTICE} It was given 1 word: hi",
        "demo",
        "demo",
        16,
    )
    assert answer["metadata"].keys() == {"run_id", "cost", "finish_reason"}
    assert chat["content"] == answer["content"]
    ((request, _),) = provider.requests
    said, document, picture = request.messages[0].parts
    assert said == Text("look")
    assert "attached words" in str(document)
    assert isinstance(picture, mcp_llm.Media)
    vectors = await handle.handle_request("embed", {"input": ["hi", "you"]})
    assert (len(vectors["embedding"]), len(vectors["embeddings"])) == (vectors["dimensions"], 2)
    assert handle.get_supported_methods() == ["llm/chat", "llm/generate", "llm/vision", "llm/embed"]
    assert (handle.protocol_id, handle.name) == ("llm/v1", "demo")
    with pytest.raises(ValueError, match=r"^Unsupported method: llm/paint; there are llm/chat, llm/generate"):
        await handle.handle_request("llm/paint", {})
    health = await handle.health_check()
    assert (health["status"], health["provider_id"]) == ("degraded", "demo")


@pytest.mark.anyio
async def test_a_handle_opens_and_shuts_down_and_goes_on(closing: None) -> None:
    handle = mcp_llm.get_provider("demo")
    await handle.initialize()
    await handle.shutdown()
    assert (await handle.agenerate("hi")).startswith(NOTICE)


@pytest.mark.parametrize(
    ("contents", "arguments", "error", "said"),
    [
        ("hi", {"model": "anthropic:pro"}, MissingKey, "ANTHROPIC_API_KEY"),
        ("hi", {"model": "nobody:nothing"}, UnknownProvider, "nobody"),
        ("hi", {"model": "no-such-model"}, UnknownModel, "no-such-model"),
        ("", {"model": "demo"}, InvalidInput, "empty"),
        ([], {"model": "demo"}, InvalidInput, "empty"),
        (7, {"model": "demo"}, InvalidInput, "int"),
        ([{"role": "user", "content": 7}], {"model": "demo"}, InvalidInput, "content"),
        ("hi", {"model": "demo", "max_output_tokens": 0}, InvalidInput, "max_tokens"),
        ("hi", {"model": "demo", "timeout_s": -1}, InvalidInput, "timeout_s"),
        ("hi", {"model": "demo", "files": ["../../etc/passwd"]}, Denied, "outside the allowed folders"),
        ("hi", {"model": "demo", "thread": "no-such-thread"}, InvalidInput, "thread"),
    ],
)
def test_a_mistake_is_an_error_of_ours_that_names_it(
    contents: Any, arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(mcp_llm.Error, match=said) as caught:
        mcp_llm.generate(contents, **arguments)
    assert isinstance(caught.value, error)
    with pytest.raises(mcp_llm.Error, match=said):
        list(mcp_llm.stream(contents, **arguments))


def test_an_unknown_provider_has_no_handle() -> None:
    with pytest.raises(UnknownProvider, match="anthropic"):
        mcp_llm.get_provider("antropic")


def test_a_typing_mistake_in_an_argument_is_told_and_never_sent(home: Path) -> None:
    import mcp_llm

    for wrong, right in (("modle", "model"), ("temprature", "temperature"), ("timeout", "timeout_s")):
        mistaken: Any = {wrong: 1}
        with pytest.raises(mcp_llm.Error, match=f"did you mean `{right}`"):
            mcp_llm.generate("hi", "demo", **mistaken)


def test_the_words_of_the_tool_and_the_shell_are_understood_too(home: Path) -> None:
    import mcp_llm

    result = mcp_llm.generate_result(
        "and now?", "demo", system="be brief", max_tokens=3, messages=[{"role": "user", "content": "first"}]
    )
    assert result.finish_reason == "length"
    assert (result.usage.input, result.usage.output) == (5, 3)
