"""The rules of the house, read from the syntax trees: layers go one way, pure is pure, each I/O has one home."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mcp_llm"
FILES = sorted(path for path in PACKAGE.rglob("*.py"))
NAMES = {path: path.relative_to(PACKAGE).as_posix() for path in FILES}
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}

LAYERS = (
    {"errors"},
    {"types"},
    {"wires"},
    {"settings", "store", "schemas", "telemetry", "redactor", "envfile", "signals"},
    {"catalog", "config", "prompts", "hosts"},
    {"files", "http"},
    {"llm", "toolsets"},
    {"runs", "compare", "batch", "video"},
    {"agent", "workflow"},
    {"app"},
    {
        "server",
        "cli",
        "api",
        "background",
        "batching",
        "media",
        "provider",
        "recorded",
        "steps",
        "streaming",
        "talking",
        "twins",
    },
    {"__main__", "__init__"},
)
BESIDE = {("catalog", "config"), ("config", "catalog")}
"""Neighbours on one level that may not know one another; all others on a level may."""
ONLY_ITSELF = {"settings", "store", "schemas", "toolsets", "llm", "agent", "workflow"}

PURE = re.compile(
    r"errors\.py|(types|wires)/.*|catalog/(schema|find|price|globs|merge|tariff|address)\.py|llm/routing\.py|settings\.py"
    r"|workflow/(condition|graph|inputs|load|plan|schedule|schema|template)\.py"
)
WORLDLY = {
    "asyncio", "anyio", "concurrent", "threading", "subprocess", "multiprocessing", "socket", "ssl", "http", "httpx2",
    "time", "random", "secrets", "uuid", "os", "pathlib", "shutil", "tempfile", "io", "sqlite3", "logging",
}  # fmt: skip
HOMES = {
    "httpx2": r"http/transport\.py|toolsets/(http|signed)\.py",
    "httpcore2": r"$^",
    "websockets": r"http/websocket\.py",
    "mcp": r"(server|toolsets)/.*",
    "opentelemetry": r"telemetry\.py",
    "yaml": r"workflow/.*",
    "asyncio": r"http/sockets\.py|server/pipes\.py",
    "requests": r"$^",
    "httpx": r"$^",
    "openai": r"$^",
    "anthropic": r"$^",
    "google": r"$^",
    "ollama": r"$^",
}
"""Module -> the only files that may import it."""


PLAIN_WORDS = {"together", "meta", "replicate", "venice"}


def layer(unit: str) -> int:
    return next(level for level, units in enumerate(LAYERS) if unit in units)


def unit_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module imported anywhere in the file, under TYPE_CHECKING and inside functions too, as full names."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = origin(path, node)
            yield module, node.lineno
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def origin(path: Path, node: ast.ImportFrom) -> str:
    """The full name of what stands between `from` and `import`."""
    package = ["mcp_llm", *path.relative_to(PACKAGE).parts[:-1]]
    base = package[: len(package) - node.level + 1] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])


def report(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(sorted(set(found)))


def test_every_part_of_the_package_has_a_place_in_the_layers() -> None:
    known = set().union(*LAYERS)
    report([f"{NAMES[path]}: in no layer" for path in FILES if unit_of(path) not in known])


def test_imports_go_one_way() -> None:
    units = set().union(*LAYERS)
    found = []
    for path in FILES:
        mine = unit_of(path)
        for module, line in imports(path):
            theirs = module.split(".")[1] if module.startswith("mcp_llm.") else None
            if theirs not in units or theirs == mine:
                continue
            up = layer(theirs) > layer(mine)
            beside = layer(theirs) == layer(mine) and ({mine, theirs} <= ONLY_ITSELF or (mine, theirs) in BESIDE)
            if up or beside:
                found.append(f"{NAMES[path]}:{line}: {mine} may not import {theirs}")
    report(found)


FRONT = "__init__.py"
"""The package's own: importing any part runs it first, and what it names is loaded when it is used."""
HOME_OF = {
    ".".join(["mcp_llm", *Path(name).with_suffix("").parts]).removesuffix(".__init__"): name for name in NAMES.values()
}


def files_taken_from(path: Path) -> set[str]:
    """Our files from which this one takes something, under TYPE_CHECKING and inside functions too."""
    names: set[str] = set()
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = origin(path, node)
            inner = {f"{module}.{alias.name}" for alias in node.names}
            names |= {name if name in HOME_OF else module for name in inner}
    return {HOME_OF[name] for name in names & HOME_OF.keys()} - {NAMES[path], FRONT}


def test_no_file_needs_one_that_needs_it() -> None:
    """Files in a circle can only be read, tested and changed together: what both know belongs into a third."""
    needs = {NAMES[path]: files_taken_from(path) for path in FILES}
    while free := {name for name, others in needs.items() if not others}:
        needs = {name: others - free for name, others in needs.items() if name not in free}
    while free := needs.keys() - set().union(*needs.values()):
        needs = {name: others for name, others in needs.items() if name not in free}
    report([f"{name} needs, in a circle, {', '.join(sorted(others))}" for name, others in needs.items()])


def test_the_store_knows_errors_and_types_and_nothing_else_of_ours() -> None:
    allowed = {"store", "types", "errors"}
    report(
        [
            f"{NAMES[path]}:{line}: {module}"
            for path in FILES
            if unit_of(path) == "store"
            for module, line in imports(path)
            if module.startswith("mcp_llm.") and module.split(".")[1] not in allowed
        ]
    )


def test_wires_know_the_standard_library_pydantic_and_values() -> None:
    allowed = {"pydantic", "pydantic_core"}
    found = []
    for path in FILES:
        if unit_of(path) not in {"wires", "types", "errors"}:
            continue
        for module, line in imports(path):
            top = module.split(".")[0]
            if top not in allowed and top != "mcp_llm" and top not in sys.stdlib_module_names:
                found.append(f"{NAMES[path]}:{line}: {module}")
    report(found)


def test_pure_parts_have_no_clock_no_loop_no_files_and_no_environment() -> None:
    found = []
    for path in FILES:
        if not PURE.fullmatch(NAMES[path]):
            continue
        found += [
            f"{NAMES[path]}:{line}: imports {module}"
            for module, line in imports(path)
            if module.split(".")[0] in WORLDLY
        ]
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
                found.append(f"{NAMES[path]}:{node.lineno}: is async")
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "input"}:
                found.append(f"{NAMES[path]}:{node.lineno}: {node.func.id}()")
            elif isinstance(node, ast.Attribute) and node.attr in {
                *("now", "today", "utcnow", "stdin", "stdout", "stderr", "argv"),
            }:
                found.append(f"{NAMES[path]}:{node.lineno}: .{node.attr}")
    report(found)


@pytest.mark.parametrize(("module", "home"), HOMES.items())
def test_each_way_into_the_world_has_one_home(module: str, home: str) -> None:
    report(
        [
            f"{NAMES[path]}:{line}: imports {name}"
            for path in FILES
            if not re.fullmatch(home, NAMES[path])
            for name, line in imports(path)
            if name.split(".")[0] == module
        ]
    )


def test_only_config_reads_the_environment() -> None:
    found = []
    for path in FILES:
        if NAMES[path] == "config.py":
            continue
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "putenv", "environb"}:
                found += [f"{NAMES[path]}:{node.lineno}: {node.attr}"]
        found += [
            f"{NAMES[path]}:{line}: {name}"
            for name, line in imports(path)
            if name in {"os.environ", "os.getenv", "dotenv.load_dotenv"}
        ]
    report(found)


def words_of_code(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Identifiers and string constants, without docstrings."""
    quoted = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in quoted:
            yield node.value, node.lineno
        elif isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.keyword | ast.arg):
            yield node.arg or "", node.lineno


def test_shared_files_name_no_vendor() -> None:
    """What a provider does differently is a quirk in its TOML file; `if provider == ...` has no place in the code.

    Comments may say which vendor a line is for; ids that are plain words too cannot be told apart.
    """
    vendors = {path.stem for path in PACKAGE.glob("catalog/providers/*.toml")} - {"demo", "gguf", "host"} - PLAIN_WORDS
    shared = re.compile(
        r"errors\.py|types/.*|wires/[^/]*\.py|llm/.*|(server|agent|workflow|store)/.*|app\.py|prompts\.py"
    )
    found = []
    for path in FILES:
        if not shared.fullmatch(NAMES[path]):
            continue
        for words, line in words_of_code(TREES[path]):
            names = vendors & set(re.split(r"[^a-z0-9-]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()))
            if words.startswith("."):
                continue  # the name of a file or folder
            found += [f"{NAMES[path]}:{line}: {name} in {words[:60]!r}" for name in names]
    report(found)


def test_nothing_is_printed() -> None:
    """Stdout belongs to the MCP client; what is printed says to which other file."""
    report(
        [
            f"{NAMES[path]}:{node.lineno}"
            for path in FILES
            for node in ast.walk(TREES[path])
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            if not any(keyword.arg == "file" for keyword in node.keywords)
        ]
    )


def test_no_file_is_longer_than_400_lines() -> None:
    tests = Path(__file__).resolve().parent.rglob("*.py")
    long = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (*FILES, *tests)}
    report([f"{path.name}: {lines}" for path, lines in long.items() if lines > 400])


def test_every_module_says_what_it_is_in_a_few_lines() -> None:
    found = []
    for path in FILES:
        words = ast.get_docstring(TREES[path])
        if not words:
            found.append(f"{NAMES[path]}: no docstring")
        elif NAMES[path] != "errors.py" and len(words.splitlines()) > 8:
            found.append(f"{NAMES[path]}: a docstring of {len(words.splitlines())} lines")
    report(found)


def test_no_module_keeps_state() -> None:
    """A name at module level that holds a list, dict or set is a constant, and says so with `Final` or in capitals."""
    found = []
    for path in FILES:
        for node in TREES[path].body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.List | ast.Dict | ast.Set | ast.ListComp):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
                found += [f"{NAMES[path]}:{node.lineno}: {n}" for n in names if not (n.isupper() or n == "__all__")]
        for inner in ast.walk(TREES[path]):
            if isinstance(inner, ast.Global):
                found.append(f"{NAMES[path]}:{inner.lineno}: global {', '.join(inner.names)}")
    report(found)


def test_nothing_is_left_for_later() -> None:
    mark = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")
    report(
        [
            f"{NAMES[path]}:{number}: {line.strip()[:80]}"
            for path in FILES
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if mark.search(line)
        ]
    )


def test_nothing_is_swallowed() -> None:
    """`except: pass` around everything hides what nobody thought of."""
    found = []
    for path in FILES:
        for node in ast.walk(TREES[path]):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
            )
            empty = all(isinstance(item, ast.Pass | ast.Continue) for item in node.body)
            if broad and empty:
                found.append(f"{NAMES[path]}:{node.lineno}")
    report(found)
