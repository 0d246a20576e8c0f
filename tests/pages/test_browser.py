"""The pages on loopback in a real browser: live runs, answers by keyboard, figures, settings, both themes."""

from __future__ import annotations

import http.server
import json
import stat
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pages.browsing import Pages, Process, Seen, axe, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pages.browsing import House

RUN = "a1" * 16
NARROW = {"width": 380, "height": 800}


def run_page(page: Any, pages: Pages, run_id: str) -> None:
    page.goto(f"{pages.base}/run?id={run_id}")


def test_an_empty_home_says_how_to_begin(page: Any, axe_source: str) -> None:
    assert page.title() == "Runs · mcp-llm"
    assert "mcp-llm ask" in page.inner_text("#none")
    assert axe(page, axe_source) == []


def test_a_run_is_seen_as_it_happens_and_answered_by_keyboard(
    page: Any, pages: Pages, house: House, axe_source: str
) -> None:
    house.scene("agent", run=RUN)
    page.wait_for_selector("tbody tr")
    page.keyboard.press("Tab")  # past the link that skips the navigation
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('tbody') !== null"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/run?id=*")
    page.wait_for_selector("text=before I decide anything")
    assert page.inner_text(".facts .state") == "running"
    assert axe(page, axe_source) == []
    house.tell("go")
    page.wait_for_selector(".ask")
    assert json.loads(page.inner_text(".ask pre")) == {"path": "notes/2019.md", "really": True}
    assert "notes/2019.md is older than a year" in page.inner_text(".log")
    assert [words.split("\n")[0] for words in page.locator(".tree button").all_inner_texts()] == [
        "tidier",
        "researcher",
    ]
    assert axe(page, axe_source) == []
    focused = ""
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.textContent")
        if focused == "Allow once":
            break
    assert focused == "Allow once"
    page.keyboard.press("Space")
    page.wait_for_selector(".answer")
    assert "I kept the notes of this year" in page.inner_text(".answer")
    assert page.inner_text(".facts .state") == "finished"
    assert "$0.50" in page.inner_text(".meters")
    assert axe(page, axe_source) == []
    assert json.loads(house.line()) == {"scene": "agent", "done": RUN}


def test_one_agent_can_be_looked_at_alone_and_escape_goes_back(page: Any, pages: Pages, house: House) -> None:
    house.scene("agent", run=RUN)
    house.tell("go")
    run_page(page, pages, RUN)
    page.wait_for_selector(".ask")
    whole = page.locator(".log > li").count()
    page.get_by_role("button", name="researcher").press("Enter")
    page.wait_for_selector(".tree [aria-pressed=true]")
    assert 0 < page.locator(".log > li").count() < whole
    page.keyboard.press("Escape")
    page.wait_for_selector(".tree [aria-pressed=true]", state="detached")
    assert page.locator(".log > li").count() == whole


def test_a_denied_call_is_not_made(page: Any, pages: Pages, house: House) -> None:
    house.scene("agent", run=RUN)
    house.tell("go")
    run_page(page, pages, RUN)
    page.get_by_role("button", name="Deny").click()
    page.wait_for_selector(".answer")
    log = page.inner_text(".log")
    assert "was denied" in log
    assert "notes/2019.md is gone" not in log


def test_a_run_is_cancelled_and_says_so(page: Any, pages: Pages, house: House) -> None:
    house.scene("agent", run=RUN)
    run_page(page, pages, RUN)
    page.wait_for_selector("text=before I decide anything")
    page.get_by_role("button", name="Cancel run").click()
    page.wait_for_selector(".facts .state.cancelled")
    assert "cancelled by the user" in page.inner_text(".log")
    assert page.get_by_role("button", name="Cancel run").count() == 0


def test_a_comparison_shows_figures_frontier_doubts_and_answers(
    page: Any, pages: Pages, house: House, axe_source: str
) -> None:
    made = house.scene("compare", judge=True)
    run_page(page, pages, made["run"])
    page.wait_for_selector(".answers")
    rows = [row.split() for row in page.locator("main table tbody tr").all_inner_texts()]
    assert [row[0] for row in rows] == ["ash:large", "beech:mid", "cedar:small", "elm:free"]
    assert [row[2] for row in rows][-1] == "?"  # a price that nobody knows
    assert page.locator("figure svg").count() == 2
    assert page.locator("figure svg circle").count() == 8
    assert "flip rate" in page.inner_text(".doubts")
    assert page.locator(".answers").count() == 3
    assert "Not enough evidence" in page.inner_text(".verdict")
    assert axe(page, axe_source) == []
    page.set_viewport_size(NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert axe(page, axe_source) == []


def test_words_of_models_are_words_and_nothing_else(page: Any, pages: Pages, house: House) -> None:
    made = house.scene("hostile")
    page.wait_for_selector("tbody tr")
    run_page(page, pages, made["run"])
    page.wait_for_selector(".answer")
    assert page.title() == "Run · mcp-llm"
    assert page.locator("main img, main script, main style, main iframe").count() == 0
    assert "<img src=x onerror=" in page.inner_text(".answer")
    links = page.eval_on_selector_all("main a", "all => all.map(one => [one.href, one.rel])")
    assert {tuple(one) for one in links} == {("https://example.invalid/a?b=1", "noopener noreferrer nofollow")}
    assert page.inner_text(".facts").count("<b>persona</b>") == 1


def test_marks_that_would_turn_words_around_are_spelled_out_where_a_person_decides(page: Any) -> None:
    assert page.evaluate("json({ path: 'a\\u202egpj.exe' })") == '{\n "path": "a\\u202egpj.exe"\n}'
    assert page.evaluate("brief({ path: '\\u2066x' })") == "path: \\u2066x"


def test_usage_is_drawn_and_told_and_unknown_stays_unknown(
    page: Any, pages: Pages, house: House, axe_source: str
) -> None:
    house.scene("spend")
    page.goto(pages.base + "/usage")
    page.wait_for_selector("#by-model")
    rows = {row.split()[0]: row.split()[1] for row in page.locator("section:has(#by-model) tbody tr").all_inner_texts()}
    assert rows["elm:free"] == "?"
    assert rows["ash:large"].startswith("$")
    assert page.inner_text(".figure dd").endswith("+ ?")
    assert page.locator("figure svg rect.fill").count() > 10
    assert page.locator("figure svg rect.open").count() > 5
    assert axe(page, axe_source) == []
    page.get_by_label("Since").select_option("1d")
    until(lambda: page.locator("figure svg g").count() == 1, page)
    page.set_viewport_size(NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_a_key_goes_in_and_never_comes_out(page: Any, pages: Pages, home: Path, axe_source: str) -> None:
    key = "gsk-" + "q9" * 20
    bodies: list[str] = []
    page.on("response", lambda response: bodies.append(response.text()) if "/api/" in response.url else None)
    (home / ".env").write_text("# mine\nOTHER_TOKEN=abcdefghijklmnopqrstuvwxyz\n")
    page.goto(pages.base + "/settings")
    field = page.get_by_label("GROQ_API_KEY")
    field.fill("not this one")
    field.press("Escape")
    assert field.input_value() == ""
    field.fill(key)
    field.press("Enter")
    page.wait_for_selector("[data-id=groq] code")
    assert page.inner_text("[data-id=groq] code") == f"gsk-…{key[-4:]}"
    assert (home / ".env").read_text() == f"# mine\nOTHER_TOKEN=abcdefghijklmnopqrstuvwxyz\nGROQ_API_KEY={key}\n"
    assert stat.S_IMODE((home / ".env").stat().st_mode) == 0o600
    page.reload()
    page.wait_for_selector("[data-id=groq] code")
    assert not [text for text in (*bodies, page.content()) if key in text or "abcdefghijklm" in text]
    assert page.evaluate("JSON.stringify(Object.values(localStorage))").find(key) == -1
    assert axe(page, axe_source) == []
    page.locator("[data-id=groq]").get_by_role("button", name="Remove").click()
    page.wait_for_selector("[data-id=groq] code", state="detached")
    assert (home / ".env").read_text() == "# mine\nOTHER_TOKEN=abcdefghijklmnopqrstuvwxyz\n"


def test_a_placeholder_is_no_key_and_the_page_says_so(page: Any, pages: Pages, home: Path) -> None:
    page.goto(pages.base + "/settings")
    field = page.get_by_label("GROQ_API_KEY")
    field.fill("your-key-here")
    field.press("Enter")
    assert "not a key of groq" in page.wait_for_selector("[role=alert]").inner_text()
    assert not (home / ".env").exists()


class Listing(http.server.BaseHTTPRequestHandler):
    """A provider that knows one key."""

    def do_GET(self) -> None:
        good = self.headers.get("authorization") == "Bearer gsk-" + "q9" * 20
        body = json.dumps({"data": [{"id": "m"}]} if good else {"error": {"message": "bad key"}}).encode()
        self.send_response(200 if good else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def provider() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("key", "words"), [("q9", "answers"), ("x1", "gsk-…x1x1")])
def test_a_key_is_tried_with_one_free_call(browser: Any, home: Path, key: str, words: str) -> None:
    (home / ".env").write_text(f"GROQ_API_KEY=gsk-{key * 20}\n")
    with provider() as url:
        pages = Pages(GROQ_BASE_URL=url)
        try:
            context = browser.new_context()
            seen = Seen(context, pages.base + "/")
            page = context.new_page()
            page.goto(pages.address)
            page.wait_for_selector("#none:not([hidden])")
            page.goto(pages.base + "/settings")
            item = page.locator("[data-id=groq]")
            item.get_by_role("button", name="Test").click()
            item.locator(".told", has_text=words).wait_for()
            context.close()
        finally:
            pages.end()
    seen.check()


def test_settings_are_saved_and_everything_else_stays(page: Any, pages: Pages, home: Path, axe_source: str) -> None:
    path = home / "mcp_llm.toml"
    path.write_text('# top\n[contexts]\n"notes.*" = { model = "ollama:lite", local_only = true }  # private\n')
    page.goto(pages.base + "/settings")
    page.get_by_label("Model where nothing else decides").fill("demo")
    page.get_by_label("Dollars a day").fill("2.5")
    page.get_by_role("button", name="Add a context").press("Enter")
    page.keyboard.type("chat")
    page.get_by_label("Context 2: model").fill("lite")
    page.get_by_role("button", name="Save settings").click()
    page.wait_for_selector("#told:has-text('Saved')")
    text = path.read_text()
    assert text.startswith('# top\ndefault = "demo"\n')
    assert '"notes.*" = { model = "ollama:lite", local_only = true }  # private' in text
    assert 'chat = "lite"' in text
    assert "day_usd = 2.5" in text
    assert "demo" in page.inner_text("#force")
    page.get_by_label("Dollars a day").fill("-1")
    page.evaluate("document.getElementById('form').noValidate = true")
    page.get_by_role("button", name="Save settings").click()
    assert "day_usd" in page.wait_for_selector("[role=alert]").inner_text()
    assert path.read_text() == text
    assert axe(page, axe_source) == []


def test_the_address_works_once_and_a_new_one_is_printed(browser: Any, page: Any, pages: Pages) -> None:
    fresh = pages.line()
    context = browser.new_context()
    other = context.new_page()
    other.goto(pages.address)
    assert "it works once" in other.wait_for_selector("[role=alert]").inner_text()
    other.goto("about:blank")
    other.goto(fresh)
    other.wait_for_selector("#none:not([hidden])")
    assert other.url == pages.base + "/"  # the code is in nobody's history
    context.close()


def test_when_the_process_ends_the_page_says_what_to_do(browser: Any, home: Path) -> None:
    pages = Pages()
    context = browser.new_context()
    page = context.new_page()
    page.goto(pages.address)
    page.wait_for_selector("#none:not([hidden])")
    pages.end()
    assert "Start it again" in page.wait_for_selector("[role=alert]").inner_text()
    context.close()


def test_a_comparison_is_asked_for_and_its_page_opens(page: Any, pages: Pages, axe_source: str) -> None:
    page.goto(pages.base + "/compare")
    assert axe(page, axe_source) == []
    page.get_by_label("What to ask them all").fill("Say hello")
    page.get_by_role("button", name="Compare").click()
    assert "2 to 16" in page.wait_for_selector("[role=alert]").inner_text()
    page.get_by_label("Model 1", exact=True).fill("demo")
    page.get_by_label("Model 2", exact=True).fill("demo:other")
    page.get_by_label("A right answer contains").fill("hello")
    page.get_by_label("Dollars at most").press("Enter")
    page.wait_for_url("**/run?id=*")
    page.wait_for_selector(".answers")
    assert page.inner_text("h1") == "Say hello"
    assert page.locator(".answers .mark.good").count() == 2
    page.goto(pages.base + "/compare")
    page.set_viewport_size(NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


WORKFLOW = """\
name: two steps
tasks:
  - {id: first, method: llm/generate, parameters: {prompt: one, model: demo}}
  - {id: second, method: llm/generate, dependencies: [first], parameters: {prompt: two, model: demo}}
"""


def test_a_workflow_is_seen_task_by_task(page: Any, pages: Pages, tmp_path: Path, axe_source: str) -> None:
    (tmp_path / "steps.yaml").write_text(WORKFLOW)
    made = Process("-m", "mcp_llm", "workflow", "run", str(tmp_path / "steps.yaml"))
    made.process.wait(timeout=60)
    made.end()
    page.get_by_role("link", name="two steps").click()
    page.wait_for_selector(".answer")
    assert page.inner_text("h1") == "two steps"
    titles = [words.split()[:3] for words in page.locator(".log .what").all_inner_texts()]
    assert titles == [["first", "llm/generate", "done"], ["second", "llm/generate", "done"]]
    assert axe(page, axe_source) == []


def test_a_run_whose_process_has_gone_is_gone_on_with(page: Any, pages: Pages, house: House) -> None:
    made = house.scene("interrupted")
    run_page(page, pages, made["run"])
    page.wait_for_selector(".state.interrupted")
    page.get_by_role("button", name="Resume").press("Enter")
    page.wait_for_selector(".facts .state.finished")
    assert "left half done" in page.inner_text(".answer")
    assert "goes on" in page.inner_text(".log")


def test_what_may_be_paid_twice_is_resumed_at_the_second_word(page: Any, pages: Pages, house: House) -> None:
    made = house.scene("cut_off")
    run_page(page, pages, made["run"])
    button = page.get_by_role("button", name="Resume")
    button.click()
    assert "may have been paid" in page.wait_for_selector("[role=alert]").inner_text()
    page.get_by_role("button", name="Resume all the same").click()
    page.wait_for_selector(".facts .state.finished")
    assert "asked before the crash" in page.inner_text(".answer")


def test_an_unknown_run_is_told_as_one(page: Any, pages: Pages, axe_source: str) -> None:
    run_page(page, pages, "nope")
    page.wait_for_selector("text=No such run")
    assert "there is no run" in page.inner_text("[role=alert]")
    assert axe(page, axe_source) == []


def test_nothing_of_a_page_can_be_put_into_a_frame(browser: Any, pages: Pages) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_content(f'<iframe src="{pages.base}/"></iframe>')
    until(lambda: len(page.frames) == 2 and page.frames[1].url != "", page)
    assert page.frames[1].locator("main").count() == 0
    context.close()
