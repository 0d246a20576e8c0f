"""docs/ cannot drift: every page is a session on a bare machine, from first block to last, and links hold.

What stands after a fence's language says what its block is, see `KNOWN`. A `text` block is what the block before it
said, with `...` for what differs each time. docs/reference is generated, and compared here with what it is made of.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest
from documented import machine as checks
from documented import reference
from documented.blocks import ROOT, Block, Page
from documented.machine import Machine
from mcp import Client

from mcp_llm import config as configuration
from mcp_llm import prompts
from mcp_llm.catalog import load as catalog
from mcp_llm.server.build import build
from mcp_llm.types import events

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS: Final = ROOT / "docs"
EXAMPLES: Final = DOCS / "examples"
PAGES: Final = [Page(path) for path in sorted(DOCS.rglob("*.md"))]
WRITTEN: Final = [page for page in PAGES if not page.name.startswith("docs/reference/")]
MOST_WORDS: Final = 1800
"""Ten minutes of a reader who is new to it."""


@dataclass
class Session:
    """A page being tried: its machine, and what the last block said."""

    machine: Machine
    said: str = ""
    answer: Any = None
    written: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        """A file of the working folder, or with `home:` before it of the config folder."""
        folder, _, rest = name.rpartition("home:")
        path = (self.machine.home if folder or name.startswith("home:") else self.machine.work) / rest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


def shell(block: Block, session: Session) -> None:
    """What a new user types; `exit=N` where it is meant to end so."""
    expected = int(block.note.removeprefix("exit=") or 0)
    stop = () if expected else ("-e",)
    done = session.machine.run("bash", "-uo", "pipefail", *stop, "-c", f"exec 2>&1\n{block.text}")
    session.said = done.stdout
    assert done.returncode == expected, session.said
    assert "Traceback" not in session.said


def python(block: Block, session: Session) -> None:
    """A program, which may be one of a file's name for blocks after it."""
    if block.note:
        session.write(block.note, block.text)
        return
    done = session.machine.run(sys.executable, "-c", block.text)
    session.said = done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def text(block: Block, session: Session) -> None:
    """What the block before it said: these lines, in this order, others between them. A `figure` is only looked at."""
    if block.note == "figure":
        return
    lines = iter(session.said.splitlines())
    for wanted in filter(None, (line.strip() for line in block.text.splitlines())):
        pattern = ".*".join(map(re.escape, wanted.split("...")))
        assert any(re.fullmatch(pattern, line.strip()) for line in lines), f"{wanted!r} is not in:\n{session.said}"


def toml(block: Block, session: Session) -> None:
    """The user's config file, or with `provider NAME` a provider's."""
    if block.note.startswith("provider "):
        checks.provider(block, session.machine, block.note.removeprefix("provider "))
    else:
        checks.settings(block, session.machine)


def data(block: Block, session: Session) -> None:
    """JSON: a host's file, a call of a tool and what it gives, an event, or a file."""
    kind, _, name = block.note.partition(" ")
    if kind == "host":
        checks.hosts(block)
    elif kind == "call":
        session.answer = anyio.run(call, session.machine, name, json.loads(block.text))
    elif kind == "result":
        within(json.loads(block.text), session.answer, "result")
    elif kind == "event":
        events.decode(block.text)
    else:
        json.loads(block.text)
        session.write(block.note, block.text)


async def call(machine: Machine, name: str, arguments: dict[str, Any]) -> Any:
    """What the tool gives a real client, as structured content."""
    overrides = {"packs": ("core", "media", "workflow")}
    config = configuration.load(environment=machine.environment, working_folder=machine.work, overrides=overrides)
    with anyio.fail_after(60):
        async with Client(build(config)) as client:
            given = await client.call_tool(name, arguments)
    assert not given.is_error, given
    return given.structured_content


def within(shown: Any, found: Any, place: str) -> None:
    """Whether what is shown is found; "..." stands for anything."""
    if shown == "...":
        return
    if isinstance(shown, dict) and isinstance(found, dict):
        for name, value in shown.items():
            assert name in found, f"{place} has no {name}: {found}"
            within(value, found[name], f"{place}.{name}")
    elif isinstance(shown, str) and isinstance(found, str):
        assert re.fullmatch(".*".join(map(re.escape, shown.split("..."))), found, re.DOTALL), (place, found)
    else:
        assert shown == found, place


def lines(block: Block, session: Session) -> None:
    """JSON, one value a line."""
    for line in block.text.splitlines():
        json.loads(line)
    session.write(block.note, block.text)


def yaml(block: Block, session: Session) -> None:
    """A workflow: the reader finds nothing wrong with it."""
    path = session.write(block.note, block.text)
    done = session.machine.run("mcp-llm", "workflow", "check", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def prompt(block: Block, session: Session) -> None:
    """A prompt or an agent as a file of the config folder."""
    prompts.read(session.write(f"home:prompts/{block.note}.md", block.text))


KNOWN: Final[dict[str, Callable[[Block, Session], None]]] = {
    "sh": shell,
    "python": python,
    "text": text,
    "toml": toml,
    "json": data,
    "jsonl": lines,
    "yaml": yaml,
    "markdown": prompt,
}


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_a_page_does_what_it_says_from_its_first_block_to_its_last(page: Page, home: Path) -> None:
    session = Session(Machine(home, Path.cwd()))
    for block in page.blocks:
        assert block.language in KNOWN, f"{page.name}, line {block.line}: no test knows {block.language!r}"
        try:
            KNOWN[block.language](block, session)
        except AssertionError as exc:
            raise AssertionError(f"{page.name}, line {block.line}: {exc}") from exc


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_whole_and_its_links_and_commands_lead_somewhere(page: Page) -> None:
    assert page.whole
    anchors = {one.path: one.anchors for one in PAGES}
    for link in page.links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_relative_to(ROOT)
        assert not anchor or anchor in anchors[target], f"{page.name}: {link}"
    for command in page.commands:
        checks.command_exists(command)


def test_models_that_the_prose_names_are_in_the_catalog() -> None:
    known, made_up = catalog.load(), {"model", "brand-new-model", "NAME", "default"}
    named = {found for page in WRITTEN for found in re.findall(r"`([a-z]+:[A-Za-z0-9./-]+)`", page.prose)}
    models = {one for one in named if one.partition(":")[0] in known.ids and one.partition(":")[2] not in made_up}
    # What a server on this machine has as `pro` is known when it is asked.
    models -= {one for one in models if known.providers[one.partition(":")[0]].local or one.startswith("demo:")}
    assert models
    assert [one for one in models if (found := known.find(one)).provider.tiers and found.warnings] == []


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_a_page_is_read_in_ten_minutes_and_found_from_the_index(page: Page) -> None:
    assert page.words <= MOST_WORDS
    index = Page(DOCS / "index.md")
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in index.links if not link.startswith("https://")}
    assert page.path == index.path or page.path in linked


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_the_reference_is_what_it_is_made_of(name: str) -> None:
    found = (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")
    assert found == reference.PAGES[name](), "run `python tests/documented/reference.py` and look at the difference"


def test_every_error_is_told_how_to_mend() -> None:
    page = Page(DOCS / "guides" / "troubleshooting.md")
    told = set(re.findall(r"^\| `([a-z_]+)` \|", page.text, re.MULTILINE))
    assert told == {one.kind for one in reference.errors()}


def programs() -> list[Path]:
    return [path for path in sorted(EXAMPLES.glob("*.py")) if not path.name.endswith("_server.py")]


@pytest.mark.parametrize("path", programs(), ids=lambda path: path.name)
def test_an_example_runs_as_it_is(path: Path, home: Path) -> None:
    work = Path.cwd()
    done = Machine(home, work).run(sys.executable, str(path), folder=work)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.strip()


def test_the_server_of_the_examples_serves_what_the_programs_call(home: Path) -> None:
    server = f"clock={shlex.join([sys.executable, str(EXAMPLES / 'clock_server.py')])}"
    done = Machine(home, Path.cwd()).run("mcp-llm", "agent", "-m", "demo", "--with", server, "-q", "Call now with {}")
    assert done.returncode == 0, done.stderr
    assert "clock__now said: 20" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("workflow", "run", "ideas.yaml", "--input", "topic=a small boat"),
        ("batch", "run", "prompts.jsonl", "-m", "demo"),
    ],
    ids=lambda command: command[2],
)
def test_an_example_file_does_what_it_is_for(command: tuple[str, ...], home: Path) -> None:
    done = Machine(home, Path.cwd()).run("mcp-llm", *command, folder=EXAMPLES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "demo" in done.stdout


def test_every_example_is_run_or_used_and_shown() -> None:
    shown = {Path(link).name for page in WRITTEN for link in page.links if "examples/" in link}
    assert {path.name for path in EXAMPLES.iterdir()} - {"__pycache__"} <= shown


def test_the_pages_go_with_the_source_and_not_with_the_wheel_or_the_bundle() -> None:
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert targets["wheel"]["packages"] == ["mcp_llm"]
    assert "docs" not in str(targets["wheel"].get("force-include", {}))
    assert not {"only-include", "exclude"} & targets.get("sdist", {}).keys()
    assert "docs/" in (ROOT / ".mcpbignore").read_text(encoding="utf-8").splitlines()
