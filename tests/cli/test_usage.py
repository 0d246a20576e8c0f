"""`mcp-llm usage`: sums of the log, where unknown is never 0."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from faults.replies import ok
from faults.server import FaultServer

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]
    Gateway = Callable[[str], None]


def test_an_unknown_cost_is_a_question_mark_and_never_zero(run: Run, gateway: Gateway) -> None:
    with FaultServer([ok("openai", stream=True)]) as server:
        gateway(server.url)
        assert run("ask", "-q", "-m", "gate:x", "hi").returncode == 0
    assert run("ask", "-q", "--context", "notes", "-m", "demo", "hi").returncode == 0

    lines = [line.split() for line in run("usage", "--by", "provider").stdout.splitlines()]
    assert lines[0] == ["provider", "requests", "failed", "in", "out", "cached", "cost"]
    costs = {line[0]: line[-1] for line in lines[1:3]}
    assert costs == {"demo": "$0", "gate": "?"}
    assert lines[3][-3:] == ["$0", "+", "?"]

    rows = {row["key"]: row for row in json.loads(run("usage", "--by", "context", "--json").stdout)}
    assert (rows["notes"]["usd"], rows[""]["usd"], rows[""]["unpriced_calls"]) == (0.0, None, 1)
    later = run("usage", "--since", "2999-01-01")
    assert (later.returncode, later.stdout, later.stderr) == (0, "", "mcp-llm: no calls in that time\n")
