"""The server as the protocol's own command-line Inspector sees it, over stdio and HTTP and in both protocol eras.

The Inspector and its Node are no part of our environment: `.ci/inspector` installs both and names their folder in
`MCP_LLM_INSPECTOR`. Its command line has no method for completions and cannot cancel; `test_clients.py` has those.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.server.build import definitions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_llm.config import Config

TOOL_FAILED = 5
"""The Inspector's exit code for a result with `isError`."""
REFUSED = 1
"""Its exit code for a protocol error."""


@pytest.fixture(scope="session")
def folder() -> Path:
    """Holds `node` and `node_modules`."""
    named = os.environ.get("MCP_LLM_INSPECTOR")
    if not named:
        pytest.skip(
            "MCP_LLM_INSPECTOR names no folder with the MCP Inspector; `.ci/inspector` makes one and runs these"
        )
    return Path(named)


@pytest.fixture(params=["legacy", "modern"])
def era(request: pytest.FixtureRequest) -> Any:
    return request.param


class Inspector:
    """One server home; every call is one run of the Inspector, which starts a server of its own."""

    def __init__(self, folder: Path, home: Path, era: str) -> None:
        self._folder, self._home, self._era = folder, home, era
        self.url: str | None = None
        """Where a server already listens; None starts one over stdio."""

    def __call__(self, method: str, *more: str, quiet: bool = True) -> subprocess.CompletedProcess[str]:
        # The Inspector gives its server a bare environment, as hosts do: what matters has to be said with -e.
        settings: tuple[str, ...] = ("-e", f"MCP_LLM_HOME={self._home}", "-e", "MCP_LLM_DISCOVER=0")
        server: tuple[str, ...] = (sys.executable, "-m", "mcp_llm")
        if self.url is not None:
            settings, server = (), ("--server-url", self.url, "--transport", "http")
        asked = ("--protocol-era", self._era, "--method", method, "--format", "json", *(["-q"] if quiet else []), *more)
        return subprocess.run(
            [
                self._folder / "node",
                self._folder / "node_modules/.bin/mcp-inspector",
                "--cli",
                *settings,
                *server,
                *asked,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self._home,
            env={"PATH": f"{self._folder}{os.pathsep}{os.defpath}", "HOME": str(self._home), "LANG": "C.UTF-8"},
        )

    def result(self, method: str, *more: str) -> Any:
        done = self(method, *more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["result"]


@pytest.fixture
def inspector(folder: Path, home: Path, era: str) -> Inspector:
    return Inspector(folder, home, era)


@contextmanager
def listening(home: Path) -> Iterator[str]:
    """The server over HTTP, as a shell starts it; its URL."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0"}
    command = [sys.executable, "-m", "mcp_llm", "serve", "--http", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=home) as server:
        assert server.stderr is not None
        yield next(line for line in server.stderr if "serving MCP on" in line).split()[-1]
        server.terminate()


def test_the_tool_list_is_portable_silent_on_stderr_and_what_we_count(inspector: Inspector, config: Config) -> None:
    done = inspector("tools/list", "--strict", quiet=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["tools"] == definitions(config)
    assert done.stderr == ""


def test_a_call_is_answered_and_kept(inspector: Inspector) -> None:
    words = "This is mcp-llm's built-in demo, not a language model. It was given 2 words: hello there"
    given = ("--tool-name", "generate", "--tool-arg", "prompt=hello there", "--tool-arg", "model=demo")
    answer = inspector.result("tools/call", *given)
    data = answer["structuredContent"]
    kept = inspector.result("resources/read", "--uri", f"runs://{data['run_id']}")
    assert (answer["isError"], data["response"], data["provider"]) == (False, words, "demo")
    assert answer["content"][0]["text"].startswith(f"{words}\n\n[demo:demo")
    assert [content["text"] for content in kept["contents"]] == [words]


def test_a_mistake_is_a_failed_result_that_names_it(inspector: Inspector) -> None:
    mistake = '{"prompt": "hi", "modle": "demo"}'
    done = inspector("tools/call", "--tool-name", "generate", "--tool-args-json", mistake)
    assert done.returncode == TOOL_FAILED, done.stderr
    told = [{"type": "text", "text": "there is no argument `modle`; did you mean `model`?"}]
    answer = json.loads(done.stdout)["result"]
    assert (answer["isError"], answer["content"]) == (True, told)


def test_the_resource_templates_are_listed_and_a_missing_one_is_a_protocol_error(inspector: Inspector) -> None:
    templates = inspector.result("resources/templates/list")["resourceTemplates"]
    missing = inspector("resources/read", "--uri", "runs://none")
    assert [template["uriTemplate"] for template in templates] == [
        "runs://{id}{?offset}",
        "runs://{id}/events{?after}",
        "models://{+name}",
        "agents://{name}",
        "usage://{?by,since}",
        "artifacts://{sha256}",
    ]
    assert missing.returncode == REFUSED
    assert json.loads(missing.stderr)["error"]["message"] == (
        "there is no run 'none'; the run id is at the end of every answer"
    )


def test_the_prompts_are_listed_and_filled_in(inspector: Inspector) -> None:
    listed = [prompt["name"] for prompt in inspector.result("prompts/list")["prompts"]]
    given = ("--prompt-name", "summarize", "--prompt-args", "text=Ana left.")
    (message,) = inspector.result("prompts/get", *given)["messages"]
    assert "summarize" in listed
    assert "Ana left." in message["content"]["text"]


def test_over_http_it_is_the_same_server(inspector: Inspector, config: Config, home: Path) -> None:
    with listening(home) as inspector.url:
        listed = inspector.result("tools/list")["tools"]
        given = ("--tool-name", "generate", "--tool-arg", "prompt=hello there", "--tool-arg", "model=demo")
        answer = inspector.result("tools/call", *given)
        kept = inspector.result("resources/read", "--uri", f"runs://{answer['structuredContent']['run_id']}")
        prompt = inspector.result("prompts/get", "--prompt-name", "summarize", "--prompt-args", "text=Ana left.")
    assert listed == definitions(config)
    assert [content["text"] for content in kept["contents"]] == [answer["structuredContent"]["response"]]
    assert "Ana left." in prompt["messages"][0]["content"]["text"]


def test_a_hundred_calls_eight_at_a_time_all_succeed(inspector: Inspector, report: list[str]) -> None:
    load = ("--load", "--load-requests", "100", "--load-concurrency", "8")
    given = ("--tool-name", "generate", "--tool-arg", "prompt=hi", "--tool-arg", "model=demo")
    counted = inspector.result("tools/call", *given, *load)
    report.append(f"inspector, 100 calls at 8 in flight: {counted['latencyMs']['p50']:.0f} ms each in the middle")
    assert (counted["ok"], counted["toolErrors"], counted["errors"]) == (100, 0, 0)


def test_prompts_are_filled_and_their_mistakes_are_protocol_errors(inspector: Inspector) -> None:
    listed = inspector.result("prompts/list")["prompts"]
    filled = inspector.result("prompts/get", "--prompt-name", "summarize", "--prompt-args", "text=the sea", "length=9")
    wrong = inspector("prompts/get", "--prompt-name", "summarize")
    assert [prompt["name"] for prompt in listed] == ["agent", "compare", "reviewer", "summarize"]
    assert "in about 9 words" in filled["messages"][0]["content"]["text"]
    assert wrong.returncode == REFUSED
    assert json.loads(wrong.stderr)["error"]["message"] == "prompt 'summarize' needs text"


def test_resources_are_listed_and_read(inspector: Inspector) -> None:
    listed = inspector.result("resources/list")["resources"]
    read = inspector.result("resources/read", "--uri", "agents://reviewer")["contents"]
    assert [one["uri"] for one in listed][:2] == ["runs://", "models://"]
    assert json.loads(read[0]["text"])["budget"] == {"usd": 1.0, "turns": 30}


def test_a_call_that_takes_long_is_followed_as_a_task_where_there_are_tasks(inspector: Inspector, era: str) -> None:
    arguments = '{"prompt": "hello", "model": "demo", "servers": [], "wait_s": 0}'
    data = inspector.result("tools/call", "--tool-name", "run_agent", "--tool-args-json", arguments)[
        "structuredContent"
    ]
    if era == "modern":
        assert (data["stop_reason"], data["turns"]) == ("stop", 1)
    else:
        assert data["status"] == "running"
