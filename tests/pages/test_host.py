"""The pages inside a host, over the protocol of MCP Apps: the test is the host, its client and server are real ones."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from agent.scripted import PRICES, Scripted, call
from anyio.from_thread import start_blocking_portal
from mcp import Client
from pages.browsing import Seen, axe, until
from pages.test_apps import Ui

from mcp_llm import config as configuration
from mcp_llm.server.build import build
from mcp_llm.server.life import Heart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_llm.llm.service import Service

SERVER = Path(__file__).parents[1] / "agent" / "server.py"
ALL: dict[str, Any] = {"serverTools": {}, "serverResources": {}, "openLinks": {}}
DARK = {
    "theme": "dark",
    "availableDisplayModes": ["inline", "fullscreen"],
    "styles": {
        "variables": {
            "--color-background-primary": "light-dark(#ffffff, #101820)",
            "--color-background-secondary": "light-dark(#f4f4f4, #182430)",
            "--color-text-primary": "light-dark(#111111, #f0f4f8)",
            "--color-text-secondary": "light-dark(#555555, #b0bcc8)",
            "--color-border-primary": "light-dark(#dddddd, #304050)",
            "--font-sans": "sans-serif",
        }
    },
}


class Slow(Scripted):
    """Speaks when the gate opens."""

    def __init__(self, *script: Any) -> None:
        super().__init__(*script)
        self.gate = anyio.Event()

    async def stream(self, request: Any, model: str) -> Any:
        await self.gate.wait()
        async for chunk in super().stream(request, model):
            yield chunk


class Host:
    """A browser's page with a frame, a real client behind it, and a real server behind that."""

    def __init__(self, page: Any, portal: Any, client: Client, opened: list[Service]) -> None:
        self.page, self.portal, self.client, self.opened = page, portal, client, opened
        self.sent: list[tuple[str, Any]] = []
        page.expose_function("mcp", self.serve)
        page.set_content(Path(__file__).with_name("host.html").read_text(encoding="utf-8"))

    def serve(self, method: str, params: dict[str, Any]) -> Any:
        """What the page asks of the server."""
        self.sent.append((method, params))
        if method == "resources/read":
            return self.wire(self.portal.call(self.client.read_resource, params["uri"]))
        assert method == "tools/call"
        return self.wire(self.portal.call(self.client.call_tool, params["name"], params["arguments"]))

    @staticmethod
    def wire(result: Any) -> Any:
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)

    def begin(self, tool: str, arguments: dict[str, Any]) -> Callable[[], Any]:
        """The model's call of a tool; what is given back waits for its result."""
        return self.portal.start_task_soon(self.client.call_tool, tool, arguments).result  # type: ignore[no-any-return]

    def register(self, name: str, model: object) -> None:
        self.portal.call(self.opened[0].register, name, model)

    def show(self, name: str, arguments: dict[str, Any], context: dict[str, Any], capabilities: Any = None) -> Any:
        """Fetch the page as a host does, frame it, and tell it the tool's arguments; the frame."""
        html = self.portal.call(self.client.read_resource, f"ui://mcp-llm/{name}.html").contents[0].text
        given = [html, context, ALL if capabilities is None else capabilities]
        self.page.evaluate("([html, context, abilities]) => show(html, context, abilities)", given)
        until(lambda: "ui/notifications/initialized" in self.methods(), self.page)
        self.notify("ui/notifications/tool-input", {"arguments": arguments})
        return self.page.frames[1]

    def notify(self, method: str, params: Any) -> None:
        self.page.evaluate("([method, params]) => notify(method, params)", [method, params])

    def result(self, result: Any) -> None:
        self.notify("ui/notifications/tool-result", self.wire(result))

    def methods(self) -> list[str]:
        """What the page has said, in order."""
        return [str(one.get("method")) for one in self.page.evaluate("log")]


@pytest.fixture
def host(browser: Any, home: Path) -> Iterator[Host]:
    opened: list[Service] = []
    figures = {"command": sys.executable, "args": [str(SERVER), str(home / "notes")]}
    settings = {"discover": False, "prices": PRICES, "servers": {"figures": figures}}
    server = build(configuration.load(overrides=settings), opened, Heart())
    context = browser.new_context(viewport={"width": 760, "height": 900}, reduced_motion="reduce")
    seen = Seen(context)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(server, extensions=[Ui()])) as client,
    ):
        yield Host(context.new_page(), portal, client, opened)
    context.close()
    seen.check()


@contextmanager
def house_of(host: Host, model: Slow) -> Iterator[None]:
    host.register("scripted", model)
    yield
    host.portal.call(model.gate.set)


TASK = {"prompt": "Tidy the notes", "model": "scripted:m", "servers": []}


def test_a_run_is_found_while_its_call_is_open_and_shown_to_its_end(host: Host, axe_source: str) -> None:
    model = Slow("All is tidy.")
    host.register("scripted", model)
    answer = host.begin("run_agent", TASK)
    frame = host.show("run", TASK, {"theme": "light"})
    frame.wait_for_selector(".log > li")
    assert frame.inner_text(".facts .state") == "running"
    assert axe(host.page, axe_source, ("light",)) == []
    host.portal.call(model.gate.set)
    host.result(answer())
    frame.wait_for_selector(".answer")
    assert "All is tidy." in frame.inner_text(".answer")
    assert {method for method, _ in host.sent} == {"resources/read"}  # nobody is asked for leave to look
    height = frame.evaluate("document.documentElement.getBoundingClientRect().height")
    until(lambda: host.page.evaluate("parseFloat(frame.style.height)") >= height - 1, host.page)


def test_a_run_is_cancelled_from_the_page(host: Host) -> None:
    model = Slow("never")
    with house_of(host, model):
        given = host.begin("run_agent", {**TASK, "wait_s": 0.2})()
        frame = host.show("run", TASK, {})
        host.result(given)
        frame.get_by_role("button", name="Cancel run").click()
        frame.wait_for_selector(".facts .state.cancelled")
    calls = [params for method, params in host.sent if method == "tools/call"]
    run_id = given.structured_content["run_id"]
    assert calls == [{"name": "runs", "arguments": {"action": "cancel", "run_id": run_id, "wait_s": 5}}]


@pytest.mark.parametrize(("button", "left"), [("Allow once", ""), ("Allow for this run", ""), ("Deny", "a line\n")])
def test_a_question_is_answered_from_the_page(host: Host, home: Path, button: str, left: str) -> None:
    (home / "notes").write_text("a line\n")
    host.register("scripted", Scripted(call("figures__wipe"), "done at last"))
    given = host.begin("run_agent", {**TASK, "servers": ["figures"]})()
    frame = host.show("run", TASK, {})
    host.result(given)
    assert given.structured_content["status"] == "waiting"
    frame.get_by_role("button", name=button).press("Enter")
    frame.wait_for_selector(".answer")
    assert "done at last" in frame.inner_text(".answer")
    assert (home / "notes").read_text() == left


def test_the_hosts_colours_and_theme_are_taken_over_and_stay_readable(host: Host, axe_source: str) -> None:
    given = host.begin("run_agent", {"prompt": "hello", "model": "demo", "servers": []})()
    frame = host.show("run", {"prompt": "hello"}, DARK)
    host.result(given)
    frame.wait_for_selector(".answer")
    assert frame.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 24, 32)"
    assert axe(host.page, axe_source, ("light",)) == []
    host.notify("ui/notifications/host-context-changed", {"theme": "light"})
    until(lambda: frame.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)", host.page)
    frame.get_by_role("button", name="Full screen").click()
    frame.wait_for_selector("#larger", state="hidden")
    assert "ui/request-display-mode" in host.methods()


def test_some_colours_of_a_host_are_none(host: Host) -> None:
    variables = {"--color-text-primary": "#ffffff"}
    frame = host.show("run", {}, {"theme": "light", "styles": {"variables": variables}})
    assert frame.evaluate("getComputedStyle(document.body).color") == "rgb(27, 28, 30)"


def test_a_comparison_is_shown_at_once_and_then_with_its_figures(host: Host, axe_source: str) -> None:
    arguments = {"prompt": "Say hello", "models": ["demo", "demo:other"], "expect": {"contains": "hello"}}
    frame = host.show("comparison", arguments, {"theme": "dark"})
    frame.wait_for_selector("text=Asking 2 models")
    host.result(host.begin("compare_models", arguments)())
    frame.wait_for_selector(".answers")
    frame.wait_for_selector("text=checks passed against cost")
    assert frame.locator(".answers > li").count() == 2
    assert "Say hello" in frame.inner_text("main")
    assert axe(host.page, axe_source, ("light",)) == []


def test_a_list_of_runs_opens_the_one_that_is_chosen(host: Host) -> None:
    host.begin("run_agent", {"prompt": "hello there", "model": "demo", "servers": []})()
    frame = host.show("run", {"action": "list"}, {})
    host.result(host.begin("runs", {"action": "list"})())
    frame.locator("#view button").first.press("Enter")
    frame.wait_for_selector(".answer")
    assert "hello there" in frame.inner_text(".answer")


def test_a_host_that_lets_no_page_read_still_shows_the_answer(host: Host) -> None:
    given = host.begin("run_agent", {"prompt": "hello", "model": "demo", "servers": []})()
    frame = host.show("run", {"prompt": "hello"}, {}, {})
    host.result(given)
    frame.wait_for_selector(".answer")
    assert given.content[0].text.split("\n")[0] in frame.inner_text(".answer")
    assert host.sent == []


def test_a_failed_call_is_told_in_its_own_words(host: Host) -> None:
    frame = host.show("run", {"prompt": "x"}, {})
    host.result(host.begin("run_agent", {"prompt": "x", "model": "nobody:knows", "servers": []})())
    assert "nobody" in frame.wait_for_selector(".note.bad").inner_text()


def test_a_page_answers_its_teardown_and_then_asks_nothing_more(host: Host) -> None:
    model = Slow("late")
    with house_of(host, model):
        given = host.begin("run_agent", {**TASK, "wait_s": 0.2})()
        frame = host.show("run", TASK, {})
        host.result(given)
        frame.get_by_role("button", name="Cancel run").wait_for()
        host.page.evaluate("send({ id: 'bye', method: 'ui/resource-teardown', params: {} })")
        until(lambda: {"jsonrpc": "2.0", "id": "bye", "result": {}} in host.page.evaluate("log"), host.page)
    asked = len(host.sent)
    host.page.wait_for_timeout(1500)
    assert len(host.sent) <= asked + 1  # the look that was under way


def test_only_the_host_is_listened_to(host: Host) -> None:
    frame = host.show("run", {"prompt": "x"}, {})
    forged = {"jsonrpc": "2.0", "method": "ui/notifications/tool-result", "params": {"content": [], "isError": True}}
    frame.evaluate(f"window.postMessage({json.dumps(forged)}, '*')")
    host.page.wait_for_timeout(300)
    assert frame.locator(".note.bad").count() == 0
