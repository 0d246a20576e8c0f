"""`mcp-llm workflow`, run as people run it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

BAD = (
    "name: x\ntasks:\n- {id: a, method: llm/generat}\n- {id: b, method: llm/generate, parameters: {prompt: '${c.x}'}}\n"
)
FAILING = """
name: failing
tasks:
- {id: good, method: llm/generate, parameters: {prompt: hi, model: demo}}
- {id: bad, method: llm/generate, parameters: {prompt: hi, model: demo, files: [nothing.txt]}}
outputs: {words: "${good.response}"}
"""


def test_a_new_workflow_runs_and_says_what_it_does(run: Run, home: Path) -> None:
    begun = run("workflow", "init", "ideas.yaml")
    assert (begun.returncode, begun.stdout) == (0, "")
    again = run("workflow", "init", "ideas.yaml")
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    done = run("workflow", "run", "ideas.yaml", "-i", "topic=bread", "--watch")
    assert done.returncode == 0, done.stderr
    assert "Choose the best" in done.stdout
    assert "plan: llm/generate" in done.stderr
    assert "3 completed" in done.stderr


def test_one_in_the_config_folder_is_run_by_its_name(run: Run, home: Path) -> None:
    assert run("workflow", "list").stdout == ""
    run("workflow", "init", "ideas")
    assert (home / "workflows" / "ideas.yaml").exists()
    listed = run("workflow", "list").stdout
    assert listed.startswith('ideas(topic: string = "a garden in the shade")  Several ideas')
    (row,) = json.loads(run("workflow", "list", "--json").stdout)
    assert (row["name"], row["broken"], row["inputs"]["topic"]["type"]) == ("ideas", False, "string")
    data = json.loads(run("workflow", "run", "ideas", "--json").stdout)
    assert (data["status"], [task["task_id"] for task in data["tasks"]]) == ("completed", ["ideas", "doubts", "plan"])
    missing = run("workflow", "run", "idaes")
    assert (missing.returncode, "did you mean `ideas`?" in missing.stderr) == (2, True)


def test_events_come_as_lines_with_one_end(run: Run, home: Path) -> None:
    run("workflow", "init", "ideas.yaml")
    events = [json.loads(line) for line in run("workflow", "run", "ideas.yaml", "--jsonl").stdout.splitlines()]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["event"] for event in events if event["event"] in {"start", "finish", "error"}] == ["start", "finish"]
    assert sum(event["event"] == "task_end" for event in events) == 3


def test_all_faults_are_told_by_check_and_by_run(run: Run, home: Path) -> None:
    with open("bad.yaml", "w", encoding="utf-8") as file:
        file.write(BAD)
    for command in ("check", "run"):
        done = run("workflow", command, "bad.yaml")
        assert (done.returncode, done.stdout) == (2, "")
        assert "line 3: task a: there is no method `llm/generat`; did you mean `llm/generate`?" in done.stderr
        assert "line 4: task b: ${c.x}: there is no task `c`" in done.stderr
    data = json.loads(run("workflow", "run", "bad.yaml", "--json").stdout)
    assert data["error"]["kind"] == "workflow"
    assert len(data["error"].get("problems") or data["error"]["error"].splitlines()) == 2


def test_a_task_that_fails_exits_with_one_and_the_rest_is_there(run: Run, home: Path) -> None:
    with open("failing.yaml", "w", encoding="utf-8") as file:
        file.write(FAILING)
    done = run("workflow", "run", "failing.yaml", "--output", "out.json")
    assert done.returncode == 1
    assert "demo" in done.stdout
    assert "bad failed: Attachment 1: The file was not found" in done.stderr
    with open("out.json", encoding="utf-8") as file:
        assert json.load(file)["status"] == "failed"
    assert run("runs", "list", "--status", "failed").stdout.count("workflow.here") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device here is always full")
def test_a_result_is_not_lost_over_a_file_that_cannot_be_written(run: Run, home: Path) -> None:
    run("workflow", "init", "ideas.yaml")
    early = run("workflow", "run", "ideas.yaml", "-i", "topic=x", "--output", "nowhere/out.json")
    assert (early.returncode, early.stdout) == (2, "")
    assert "there is no folder 'nowhere'" in early.stderr
    assert "workflow" not in run("runs", "list").stdout
    os.symlink("/dev/full", "out.json")
    done = run("workflow", "run", "ideas.yaml", "-i", "topic=x", "--output", "out.json", "--json")
    assert done.returncode == 1
    run_id = json.loads(done.stdout)["run_id"]
    assert (
        f"out.json cannot be written (No space left on device); `mcp-llm runs read {run_id} --json` has the"
        in done.stderr
    )


def test_the_graph_is_drawn(run: Run, home: Path) -> None:
    run("workflow", "init", "ideas.yaml")
    assert (
        run("workflow", "graph", "ideas.yaml").stdout.splitlines()[-1] == "   plan: llm/generate  after ideas, doubts"
    )
    assert run("workflow", "graph", "ideas.yaml", "--mermaid").stdout.startswith("flowchart TD\n")
    checked = json.loads(run("workflow", "check", "ideas.yaml", "--json").stdout)
    assert checked == {"workflow": "ideas", "tasks": 3, "problems": []}


def test_a_dry_run_asks_nobody(run: Run, home: Path) -> None:
    run("workflow", "init", "ideas.yaml")
    quoted = json.loads(run("workflow", "run", "ideas.yaml", "--dry-run", "--json").stdout)
    assert [task["task"] for task in quoted["tasks"]] == ["ideas", "doubts", "plan"]
    assert not os.path.exists(home / "state.db") or "workflow" not in run("runs", "list").stdout


def test_python_runs_only_where_the_users_own_file_says_so(run: Run, home: Path) -> None:
    with open("step.yaml", "w", encoding="utf-8") as file:
        file.write("name: x\ntasks:\n- {id: a, method: python/execute, parameters: {code: 1 + 1}}\n")
    off = run("workflow", "check", "step.yaml")
    assert (off.returncode, "`python/execute` is off" in off.stderr) == (2, True)
    (home / "mcp_llm.toml").write_text('[python]\nenabled = true\nboundary = "monty"\n')
    done = run("workflow", "run", "step.yaml")
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr


def test_doctor_says_which_file_is_broken_and_where_python_runs(run: Run, home: Path) -> None:
    (home / "workflows").mkdir()
    (home / "workflows" / "bad.yaml").write_text("tasks: 1")
    (home / "mcp_llm.toml").write_text('[python]\nenabled = true\nboundary = "monty"\n')
    said = run("doctor").stdout
    assert "workflows/bad is broken" in said
    assert "Python steps run in monty, which was tried and holds" in said
