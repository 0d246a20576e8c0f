"""What an install brings along: few packages, licences that we take, nothing that runs at every start, all of it ours
that says so.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
STATIC = sorted((ROOT / "mcp_llm" / "server" / "pages" / "static").iterdir())


def name_of(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def plain() -> dict[str, Distribution]:
    """The distributions of an install without extras, our own left out."""
    found: dict[str, Distribution] = {}
    left = list(PROJECT["dependencies"])
    while left:
        one = Requirement(left.pop())
        if one.marker is not None and not any(one.marker.evaluate({"extra": extra}) for extra in ("", *one.extras)):
            continue
        name = name_of(one.name)
        if name in found:
            continue
        found[name] = distribution(name)
        for line in found[name].requires or ():
            inner = Requirement(line)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in ("", *one.extras)):
                left.append(f"{inner.name}[{','.join(inner.extras)}]" if inner.extras else inner.name)
    return found


def test_a_plain_install_is_small_and_none_of_it_runs_code_at_every_start() -> None:
    found = plain()
    assert 20 < len(found) <= 39
    starts = [str(file) for one in found.values() for file in one.files or () if file.suffix == ".pth"]
    assert starts == []


def test_every_dependency_has_a_floor_that_is_installed_here_and_a_ceiling() -> None:
    for line in PROJECT["dependencies"]:
        one = Requirement(line)
        assert {spec.operator for spec in one.specifier} == {">=", "<"}, line
        assert one.specifier.contains(distribution(one.name).version), line


def test_the_bill_of_materials_is_whole_and_names_no_place_and_no_host() -> None:
    done = subprocess.run([sys.executable, ROOT / ".ci" / "bom"], capture_output=True, encoding="utf-8", check=False)
    bom = json.loads(done.stdout)
    told = {one["name"]: one for one in bom["components"]}
    found = plain()
    assert found.keys() <= told.keys()
    assert {name: told[name]["version"] for name in found} == {name: one.version for name, one in found.items()}
    assert [name for name in found if not told[name]["licenses"]] == []
    # What only the developers have beside it may have other licences.
    refused = {line.partition(":")[0] for line in done.stderr.splitlines()}
    assert refused & found.keys() == set()
    assert bom["metadata"]["component"]["name"] == "mcp-llm"
    assert not any(word in done.stdout for word in ("://", str(ROOT), str(Path.home())))


@pytest.mark.parametrize("path", STATIC, ids=[path.name for path in STATIC])
def test_what_pages_are_made_of_is_written_here(path: Path) -> None:
    """Nobody else's library, packed or not: those have long lines, notices, and names of where they come from."""
    text = path.read_text(encoding="utf-8")
    assert path.suffix in {".html", ".css", ".js"}
    assert max(map(len, text.splitlines())) <= 400
    assert re.search(r"copyright|@license|sourceMappingURL|https?://(?!www\.w3\.org/)", text, re.I) is None
