"""Providers in code, as plugins, on this machine, and as objects to hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from library.speakers import NOTICE, PNG, Failing, Messages, Prompts, Recording

import mcp_llm
from mcp_llm.errors import (
    ConfigError,
    Disconnected,
    Timeout,
    UnknownProvider,
)
from mcp_llm.types.message import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


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


class Ending:
    """Ends whatever it runs in: as a script of its own would, or by what a test's framework raises."""

    def __init__(self, how: BaseException) -> None:
        self.how = how

    def generate(self, messages: Any) -> str:
        raise self.how

    async def embed(self, request: Any, model: str) -> Any:
        raise self.how


class Outcome(BaseException):
    pass


def test_a_provider_that_exits_has_failed_and_the_next_call_finds_everything_as_it_was() -> None:
    mcp_llm.register_provider("exits", Ending(SystemExit(3)))
    for call in (mcp_llm.generate, mcp_llm.embed):
        with pytest.raises(Disconnected, match="the provider's own code failed with SystemExit"):
            call("hello", model="exits:m")
    assert mcp_llm.generate("hi", model="demo").startswith(NOTICE)


def test_what_ends_the_background_loop_is_raised_and_the_next_call_has_a_new_one() -> None:
    mcp_llm.register_provider("ends", Ending(Outcome()))
    mcp_llm.register_provider("noted", Recording())
    for _ in range(2):
        with pytest.raises(Outcome):
            mcp_llm.generate("hello", model="ends:m")
        assert mcp_llm.generate("hello", model="noted:m") == "noted"


class Waiting:
    """Asks as most scripts do, without async: nothing goes on until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.began = threading.Semaphore(0)

    def generate(self, messages: Any) -> str:
        self.began.release()
        assert self.go.wait(30)
        return "late"


def test_a_provider_that_is_not_async_holds_up_neither_others_nor_its_own_deadline() -> None:
    waiting = Waiting()
    mcp_llm.register_provider("waits", waiting)
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(mcp_llm.generate("x", "waits:m"))) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        assert all(waiting.began.acquire(timeout=30) for _ in threads)
        assert mcp_llm.generate("hi", model="demo").startswith(NOTICE)
        with pytest.raises(Timeout, match="not finished within 1 s"):
            mcp_llm.generate("x", "waits:m", timeout_s=1)
    finally:
        waiting.go.set()
        for thread in threads:
            thread.join()
    assert answers == ["late", "late"]


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


def test_an_unknown_provider_has_no_handle() -> None:
    with pytest.raises(UnknownProvider, match="anthropic"):
        mcp_llm.get_provider("antropic")
