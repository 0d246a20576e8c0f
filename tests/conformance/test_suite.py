"""The official conformance suite against our server and our client, at every version that it knows.

The suite and its Node are no part of our environment: `.ci/conformance` installs both and names their folder in
`MCP_LLM_CONFORMANCE`. What is not met stands in `not_met.toml`, with the reason.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from .conftest import Leg, not_met
from .test_requirements import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Legs = Callable[..., Leg]

SERVER: Final = {
    "2025-03-26": 1,
    "2025-06-18": 27,
    "2025-11-25": 33,
    "2026-07-28": 40,
}
"""Scenarios that apply to a server, by version: a suite that runs fewer has not run."""
CLIENT: Final = {"2025-03-26": 2, "2025-06-18": 5, "2025-11-25": 19, "2026-07-28": 33}


def unexpected(side: str, leg: Leg) -> set[str]:
    """The failed checks that no entry explains."""
    return {name for name in leg.failed if not any(fnmatchcase(name, entry) for entry in not_met(side))}


def run(legs: Legs, side: str, version: str) -> Leg:
    return legs("client", version) if side == "client" else legs(side, "--suite", "all", "--spec-version", version)


def whole(legs: Legs, side: str) -> list[Leg]:
    """Every version, and what belongs to none: the extensions."""
    versions = SERVER if side == "server" else CLIENT
    rest = legs(side, "--suite", "all") if side == "server" else legs(side, "extension")
    return [*(run(legs, side, version) for version in versions), rest]


@pytest.mark.parametrize("version", SERVER)
def test_our_server_passes_every_scenario_of_a_version(leg: Legs, version: str, report: list[str]) -> None:
    found = run(leg, "server", version)
    report.append(f"conformance, server, {version}: {len(found.checks)} scenarios, {found.passed} checks passed")
    assert (len(found.checks), found.failed, found.code) == (SERVER[version], set(), 0), found.words[-3000:]


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_our_server_meets_what_was_required_when_a_version_came_out(leg: Legs, version: str) -> None:
    found = leg("server", "--requirements", version)
    assert found.code == 0, found.words[-3000:]


@pytest.mark.parametrize("version", CLIENT)
def test_our_client_passes_every_scenario_of_a_version_that_applies(leg: Legs, version: str, report: list[str]) -> None:
    found = run(leg, "client", version)
    report.append(
        f"conformance, client, {version}: {len(found.checks)} scenarios, {found.passed} checks passed, "
        f"{len(found.failed)} not met for a reason"
    )
    assert (len(found.checks), unexpected("client", found)) == (CLIENT[version], set()), found.words[-3000:]


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_our_client_was_tried_in_all_that_was_required_when_a_version_came_out(
    leg: Legs, version: str, suite: Path
) -> None:
    file = suite / "node_modules/@modelcontextprotocol/conformance/requirements" / f"{version}.yaml"
    required = set(yaml.safe_load(file.read_text(encoding="utf-8"))["client"])
    assert required - run(leg, "client", version).checks.keys() == set()


@pytest.mark.parametrize("side", ["server", "client"])
def test_extensions_fail_only_where_a_reason_is_given(leg: Legs, side: str) -> None:
    assert unexpected(side, whole(leg, side)[-1]) == set()


@pytest.mark.parametrize("side", ["server", "client"])
def test_every_reason_is_still_needed(leg: Legs, side: str) -> None:
    failed: set[Any] = set().union(*(found.failed for found in whole(leg, side)))
    assert [entry for entry in not_met(side) if not any(fnmatchcase(name, entry) for name in failed)] == []


@pytest.mark.parametrize("side", ["server", "client"])
def test_the_scenarios_that_our_own_list_counts_on_are_run_and_passed(leg: Legs, side: str) -> None:
    lacking = []
    for row in ROWS:
        for test in row["tests"]:
            if not test.startswith(f"suite:{side}/"):
                continue
            scenario = test.partition("/")[2]
            legs = [run(leg, side, version) for version in row["versions"]]
            passed = [one for one in legs if scenario in one.checks and not _failed(one, scenario)]
            lacking += [] if passed else [test]
    assert lacking == []


def _failed(leg: Leg, scenario: str) -> bool:
    return any(name.startswith(f"{scenario}:") for name in leg.failed)
