"""Which tests hold what of the corpus of abuse cases, of the faults F1-F28 and of the threats T1-T35.

A file `<group>.toml` beside this has a row a case: `ID = ["folder/test_x.py::test_name[words]"]`, where the words stand
in the test or among its cases. `meaningless.toml` has the cases that a decision has made meaningless, with the reason.
A case without a row, or a row whose test is gone, fails here.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from abuse.corpus import NO_CORPUS, cases

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
ROWS: dict[str, dict[str, list[str]]] = {
    file.stem: tomllib.loads(file.read_text(encoding="utf-8"))
    for file in sorted(HERE.glob("*.toml"))
    if file.stem != "meaningless"
}
MEANINGLESS: dict[str, str] = tomllib.loads((HERE / "meaningless.toml").read_text(encoding="utf-8"))
GROUPS = {
    "upstream": r"upstream:.*",
    "children": r"mcp-child:.*",
    "runs": r"run-log|ledger|a2a",
    "servers": r"http-server|stdio-server",
    "workflow": r"config:workflow\.yaml|tool:run_workflow|workflow:.*",
    "files": r"tool:generate\((file|image)_path\)",
    "tools": r"tool:\w+",
    "outside": r"config:mcp_llm\.toml|config:\.env|cli|os",
}


def group(surface: str) -> str:
    """The file a case of that surface belongs in: the first that matches."""
    return next(name for name, surfaces in GROUPS.items() if re.fullmatch(surfaces, surface))


def wanted() -> dict[str, set[str]]:
    """What every file has to have a row for."""
    of: dict[str, set[str]] = {name: set() for name in GROUPS}
    for case in cases().values():
        of[group(case.surface)].add(case.id)
    numbered = {"faults": {f"F{n}" for n in range(1, 29)}, "threats": {f"T{n}" for n in range(1, 36)}}
    return of | numbered


@cache
def source(file: str) -> str:
    return (TESTS / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*GROUPS, "faults", "threats"])
def test_every_case_has_its_row_in_the_file_of_its_group(name: str) -> None:
    if not cases() and name in GROUPS:
        pytest.skip(NO_CORPUS)
    rows, known = set(ROWS[name]), wanted()[name]
    assert rows - known == set()
    assert rows & MEANINGLESS.keys() == set()
    assert known - rows - MEANINGLESS.keys() == set()


def test_what_is_meaningless_is_a_case_and_has_its_reason() -> None:
    if cases():
        assert MEANINGLESS.keys() - cases().keys() == set()
    assert [name for name, reason in MEANINGLESS.items() if len(reason) < 40] == []


@pytest.mark.parametrize(
    ("case", "tests"), [pytest.param(case, tests, id=case) for rows in ROWS.values() for case, tests in rows.items()]
)
def test_the_tests_of_a_case_are_there(case: str, tests: list[str]) -> None:
    assert tests != []
    for where in tests:
        file, _, rest = where.partition("::")
        name, _, words = rest.removesuffix("]").partition("[")
        # From the decorators above it to the next function.
        found = re.search(
            rf"(?:^@(?:(?!^def|^async def).)*)?^(?:async )?def {name}\(.*?(?=^(?:async )?def |\Z)",
            source(file),
            re.M | re.S,
        )
        assert found, f"{case}: there is no {name} in {file}"
        assert words in found[0], f"{case}: {name} has no case {words}"
