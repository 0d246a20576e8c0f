"""What people keep in files: `.env`, TOML of settings, providers and prompts, workflows, hosts' JSON and TOML."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcp_llm import config, envfile, prompts
from mcp_llm.catalog.load import load
from mcp_llm.errors import ConfigError, Error, InvalidInput, UnknownReference, WorkflowError
from mcp_llm.hosts import jsonc, tables
from mcp_llm.workflow.load import read
from mcp_llm.workflow.methods import METHODS
from mcp_llm.workflow.plan import plan
from mcp_llm.workflow.template import Filling, Reference, look, references, scan

from .picks import Picks
from .target import Target, is_strict_json

if TYPE_CHECKING:
    from mcp_llm.workflow.method import Method

PLACE: Final = Path(tempfile.mkdtemp(prefix="mcp-llm-fuzz-"))
atexit.register(shutil.rmtree, PLACE, ignore_errors=True)


def env(data: bytes) -> None:
    """Names and values, each one that was there, none with white space around it."""
    problems: list[str] = []
    values = envfile.values(data, problems, "working folder")
    for name, value in values.items():
        assert value == value.strip()
        assert name
        config.placeholder(value)
    assert all(len(one) < 200 for one in problems)


def settings(data: bytes) -> None:
    """Settings, or a ConfigError that a terminal can show."""
    try:
        config.check(data.decode("utf-8", "replace"), "the file")
    except ConfigError as error:
        str(error).encode("utf-8", "backslashreplace")


def project(data: bytes) -> None:
    """The file of a folder that somebody sent: whatever it holds, the rest of the settings is there."""
    work = PLACE / "work"
    work.mkdir(exist_ok=True)
    (work / config.FILE).write_bytes(data)
    found = config.load(environment={"MCP_LLM_HOME": str(PLACE / "home")}, working_folder=work)
    assert found.settings.servers == {}
    assert all(len(one) < 20_000 for one in found.problems)


def provider(data: bytes) -> None:
    """A provider file of the user's: a provider, or a problem that is told."""
    folder = PLACE / "providers"
    folder.mkdir(exist_ok=True)
    (folder / "mine.toml").write_bytes(data)
    catalog = load([folder])
    assert catalog.providers["demo"] is not None
    if not catalog.problems:
        try:
            catalog.target("mine", "m")
        except Error:
            return


def prompt(data: bytes) -> None:
    """A prompt file: a prompt that can be rendered, or InvalidInput; through the folder a problem that is told."""
    folder = PLACE / "prompts"
    folder.mkdir(exist_ok=True)
    (folder / "mine.md").write_bytes(data)
    found = prompts.Prompts([folder])
    known = found.all()
    if (mine := known.get("mine")) is None:
        assert len(found.problems) == 1
        return
    try:
        mine.render({argument.name: "{{a|b}}" for argument in mine.front.arguments})
    except InvalidInput:
        return


def workflow(data: bytes) -> None:
    """A workflow, or a WorkflowError with the line."""
    try:
        node = read(data)
        is_strict_json(node.plain())
        plan(node, find)
    except WorkflowError as error:
        str(error).encode("utf-8", "backslashreplace")


def find(name: str) -> Method:
    if name not in METHODS:
        raise InvalidInput("no such method")
    return METHODS[name]


def template(data: bytes) -> None:
    """Text with references: scanned back to itself, and filled once, or refused."""
    text = data.decode("utf-8", "replace")
    try:
        pieces = scan(text)
    except UnknownReference:
        return
    assert (
        "".join(one.replace("${", "$${") if isinstance(one, str) else str(one) for one in pieces) == text
        or "[0" in text
    )
    assert list(references({"k": [text]})) == [one for one in pieces if isinstance(one, Reference)]
    # A value that looks like a reference is a value; a root that is there but lacks the step is told.
    known = {"a": "${a}", "b": [1, {"c": None}]}
    try:
        filled = Filling(lambda one: look(one, known.get(one.root, known))).fill(text)
    except Error:
        return
    if pieces == [Reference("a")]:
        assert filled == "${a}"


def filled(data: bytes) -> None:
    """What a task's text costs: scanned, and filled."""
    values = {"b": [1, {"c": None}]}
    with suppress(Error):
        Filling(lambda one: look(one, values.get(one.root, "x"))).fill(data.decode("utf-8", "replace"))


def commented(data: bytes) -> None:
    """A host's settings: our member is put in, found again, and taken out, or the file is refused."""
    text = data.decode("utf-8", "replace")
    path = ("mcpServers", "mcp-llm")
    value = {"command": "x", "args": ["y"]}
    try:
        put = jsonc.put(text, path, value)
    except InvalidInput:
        return
    assert jsonc.parse(put)["mcpServers"]["mcp-llm"] == value
    without = jsonc.parse(jsonc.drop(put, path))
    assert "mcp-llm" not in (without or {}).get("mcpServers", {})


def tabled(data: bytes) -> None:
    """A host's TOML: the same."""
    text = data.decode("utf-8", "replace")
    path = ("mcp_servers", "mcp-llm")
    value = {"command": "x", "args": ["y"], "env": {"A": "b"}}
    try:
        before: dict[str, Any] = tables.parse(text)
        put = tables.put(text, path, value)
    except InvalidInput:
        return
    try:
        after = tables.parse(put)
    except InvalidInput:
        return  # what installs looks at the whole result before it writes it
    if after.get("mcp_servers", {}).get("mcp-llm") == value:
        mine = dict(before.get("mcp_servers", {})) if isinstance(before.get("mcp_servers"), dict) else {}
        mine.pop("mcp-llm", None)
        left = tomllib.loads(tables.drop(put, path))
        assert {k: v for k, v in left.items() if k != "mcp_servers"} == {
            k: v for k, v in before.items() if k != "mcp_servers"
        }


def slots(data: bytes) -> None:
    """Picks of a workflow's values: nothing that a filled value holds is read again."""
    value = Picks(data).value()
    filling = Filling(lambda one: look(one, {"a": "${b}", "b": 1}))
    try:
        filling.fill({"x": value})
    except Error:
        return


_TOML: Final = (
    b"[",
    b"]]",
    b"[[",
    b" = ",
    b'"""',
    b"'''",
    b"{",
    b"}",
    b"\\u0000",
    b"1e999",
    b"nan",
    b"9" * 30,
    b"#",
    b"\r\n",
)

_WORKFLOW: Final = b"""name: w
inputs:
  x: string
  n: {type: integer, default: 2}
tasks:
  - id: a
    method: llm/generate
    parameters: {prompt: 'hi ${inputs.x}'}
  - id: b
    method: llm/generate
    dependencies: [a]
    when: ${a.usage.total} > 3
    parameters:
      prompt: ${a.response}
outputs:
  said: ${b.response}
"""

TARGETS: Final = (
    Target(
        "env",
        env,
        (
            b"OPENAI_API_KEY=sk-abc\nexport B_KEY='x y' # c\n\xef\xbb\xbfC=\"a\\nb\"\nD=\nE\n",
            b"\xef\xbb\xbfA_TOKEN=your-key\r\nB=${A}\rC=...\n\xff\n",
        ),
        (
            b"export ",
            b"='",
            b"'",
            b'"',
            b"\\'",
            b"\\",
            b" #",
            b"\n",
            b"\r",
            b"\r\n",
            b"_API_KEY=",
            b"${A}",
            b"\xc2\x85",
            b"=",
            BOM := b"\xef\xbb\xbf",
        ),
        (
            *(
                (b"", one, b"")
                for one in (b"A=b\n", b"A='b'\n", b"\n", b"\r", b"A=", b"A='", b'A="', b"A=\\'", b"export ")
            ),
            *(
                (b"", one, b"")
                for one in (b"A='\n", b'A="\\"\n', b"A\n", b" ", b"\t\n", b"# x\n", b"A=\xff\n", b"'", b"A=b\r")
            ),
            *(
                (head, one, b"")
                for head in (b"A='", b'A="', b"A=")
                for one in (b"\\'", b'\\"', b"x", b" ", b"\\", b" #", b"xxx_")
            ),
            (b"", b"AAAA_API_KEY=bbbbbbbb\n", b""),
            (b"A=", b"your-", b""),
            (b"A=", b"x-x_", b"!"),
        ),
        bare=lambda data: envfile.values(data, [], "working folder"),
    ),
    Target(
        "settings",
        settings,
        (
            b'default = "openai/x"\n[budget]\nday_usd = 1.5\n[contexts]\nreview = { model = "x", local_only = true }\n',
            b"[servers.a]\ncommand = [1]",
        ),
        (*_TOML, b"default", b"budget", b"servers", b"contexts", b"aliases", b"http", b"agents"),
        (),
    ),
    Target(
        "project",
        project,
        (b'default = "openai/x"\n[aliases]\na = "b/c"\n', b"[contexts]\nx = 1\n"),
        (*_TOML, b"tiers", b"aliases"),
        quick=False,
    ),
    Target(
        "provider",
        provider,
        (
            b'base_url = "https://x.example/v1"\nwire = "openai"\n[models.m]\ncontext = 10\n',
            b'[quirks.chat]\na = 1\n[[rules]]\nmatch = "m*"\n',
        ),
        (*_TOML, b"base_url", b"models", b"rules", b"quirks", b"match", b"error_codes", b"env"),
        quick=False,
    ),
    Target(
        "prompt",
        prompt,
        (
            b'+++\ntitle = "T"\narguments = [{ name = "a", required = true }]\n+++\nSay {{a}} {{b|c}}\n',
            b'\xef\xbb\xbf+++\r\ntitle="T"\r\n+++\r\n',
        ),
        (*_TOML, b"+++\n", b"{{a}}", b"{{a|", b"}}", b"title", b"arguments", b"budget"),
        quick=False,
    ),
    Target(
        "workflow",
        workflow,
        (
            _WORKFLOW,
            b"- a\n- {b: [1, 1.10, no, ~]}\n",
        ),
        (
            b": ",
            b"- ",
            b"\n  ",
            b"? ",
            b"|\n",
            b">-\n",
            b"&a ",
            b"*a",
            b"!!int ",
            b"<<: ",
            b"---\n",
            b"${",
            b"'",
            b'"',
            b"{",
            b"[",
            b"%YAML",
        ),
        (
            (b"a:\n", b"- x\n", b""),
            (b"", b"[", b""),
            (b"", b"- ", b""),
            (b"a: '", b"''", b""),
            (b"", b"a", b": 1"),
            (b'a: "', b"\\n", b'"'),
        ),
    ),
    Target(
        "template",
        template,
        (b"say ${a.b[0]} and $${HOME}", b"${a}", b"${b[1].c}", b"$$${a}", b"${b[1]"),
        (b"${", b"$${", b"}", b".a", b"[0]", b"[", b"]", b"$", b"inputs", b"a", b"b"),
        (
            *tuple(
                (b"", one, b"")
                for one in (b"${", b"$${", b"${a}", b"$", b"${a.", b"${a[", b"}", b"x", b"${b[1].c} ", b"$$${a}")
            ),
            (b"${", b"a", b"}"),
            (b"${a", b"[0]", b"}"),
            (b"${a[", b"0", b"]}"),
        ),
        bare=filled,
    ),
    Target("values", slots, (bytes(range(6, 60)), bytes(range(250, 100, -3)))),
    Target(
        "jsonc",
        commented,
        (
            b'{\n  // c\n  "mcpServers": {"a": {"command": "b",},},\n}\n',
            b'{"mcpServers":{"mcp-llm":{}}}',
            b"/* x */",
            b'{"a":1,"a":{}}',
        ),
        (b"//", b"/*", b"*/", b'"mcpServers"', b'"mcp-llm"', b":", b",", b"{", b"}", b"\r\n", b'\\"', b'"'),
        (
            *tuple(
                (head, one, b"")
                for head in (b"", b'"')
                for one in (b"/*", b"/* */", b'\\"', b'"', b",", b", ", b"{", b"//", b"//\n", b'"\\', b"*/")
            ),
            (b"{", b'"a":{},', b"}"),
            (b"{", b'"a":[{}],\n', b"}"),
        ),
    ),
    Target(
        "host-toml",
        tabled,
        (
            b'model = "x"\n[mcp_servers.a]\ncommand = "b"\n[mcp_servers."mcp-llm"]\ncommand = "z"\n\n[other]\n',
            b"[[x]]\na='''\n[mcp_servers.mcp-llm]\n'''\n",
        ),
        (*_TOML, b"mcp_servers", b"mcp-llm"),
    ),
)
