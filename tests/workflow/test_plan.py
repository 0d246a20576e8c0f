"""Checking a workflow: everything that is wrong is found at once, each fault with its line, and nothing is run."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_llm.errors import Cycle, InvalidInput, UnknownReference, WorkflowError
from mcp_llm.workflow import graph, load
from mcp_llm.workflow.inputs import given, near, signature, spoken
from mcp_llm.workflow.method import Method
from mcp_llm.workflow.methods import METHODS
from mcp_llm.workflow.plan import Plan, plan
from mcp_llm.workflow.schema import Workflow


async def never(_: Any) -> Any:
    raise AssertionError("checking runs nothing")


TOOL = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
KNOWN = {**METHODS, "mcp/figures.add": Method(never, TOOL)}


def find(name: str) -> Method:
    if name not in KNOWN:
        raise InvalidInput(near(name, list(KNOWN), "method"))
    return KNOWN[name]


def checked(text: str) -> Plan:
    return plan(load.read(text), find)


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(WorkflowError) as caught:
        checked(text)
    return caught.value.problems


GOOD = """name: review
inputs:
  file: string
  depth: {type: integer, default: 2}
tasks:
  - id: read
    method: llm/generate
    parameters: {prompt: "Read ${inputs.file}", files: "${inputs.file}"}
  - id: ask
    method: llm/generate
    dependencies: [last]
    parameters:
      prompt: ${read.response}
      max_tokens: ${inputs.depth}
  - id: last
    method: mcp/figures.add
    when: ${read.usage.total} > 3
    parameters: {n: 3}
outputs:
  answer: ${ask.response}
"""


def test_a_reference_is_a_dependency_too() -> None:
    found = checked(GOOD)
    assert {name: (step.waits, set(step.needs)) for name, step in found.steps.items()} == {
        "read": ((), set()),
        "last": (("read",), {"read"}),
        "ask": (("last", "read"), {"read"}),
    }


def test_everything_that_is_wrong_is_found_at_once_with_its_line() -> None:
    found = problems(
        """name: bad
colour: blue
inputs:
  file: {type: text}
tasks:
  - id: one
    method: llm/generat
  - id: two
    method: llm/generate
    parameter: {prompt: x}
  - id: three
    method: llm/generate
    parameters:
      prompt: ${one.response} ${tow.response}
      modle: gpt
      max_tokens: lots
  - id: four
    method: llm/compare
    retry: {max_attempts: 0}
    timeout: soon
  - id: one
    method: mcp/figures.add
"""
    )
    assert (
        "\n".join(found)
        == """\
line 2: there is no field `colour`; there are name, description, version, inputs, tasks, outputs, max_parallel_tasks, \
timeout, budget_usd
line 4: `inputs.file.type`: Input should be 'string', 'number', 'integer', 'boolean', 'array', 'object' or 'any'
line 7: task one: there is no method `llm/generat`; did you mean `llm/generate`?
line 10: task two: there is no field `parameter`; did you mean `parameters`?
line 14: task three: ${tow.response}: there is no task `tow`; did you mean `two`?
line 15: task three: there is no field `modle`; did you mean `model`?
line 16: task three: `max_tokens`: Input should be a valid integer, unable to parse string as an integer
line 19: task four: `retry.max_attempts`: Input should be greater than or equal to 1
line 20: task four: `timeout`: Input should be a valid number, unable to parse string as a number
line 21: task one: the id `one` is taken by the task on line 6"""
    )


def test_references_and_parameters_are_checked_against_what_methods_take_and_give() -> None:
    found = problems(
        """name: bad
tasks:
  - id: three
    method: llm/generate
    parameters: {system: x}
  - id: four
    method: llm/compare
    dependencies: [thre]
    parameters:
      prompt: ${three.respons} ${inputs.fil} ${env.HOME}
      system: ${x
      models: [a]
      rubric: {"${three}": 1}
  - id: env
    method: mcp/figures.add
    when: ${three.parsed.ok} and more
    parameters: {m: 1}
  - id: six
    type: batch
    directory: .
    template: {method: llm/generate, parameters: {prompt: "${file.size}"}}
outputs: {x: "${four.winner}"}
"""
    )
    assert (
        "\n".join(found)
        == """\
line 5: task three: `prompt` is missing, or `messages`
line 8: task four: there is no task `thre`; did you mean `three`?
line 10: task four: ${three.respons}: there is no field of its result `respons`; did you mean `response`?
line 10: task four: ${inputs.fil}: there is no input `fil`; there are none
line 10: task four: ${env.HOME}: there is no way to the environment or the settings; declare an input
line 11: task four: `${x` is no reference: write ${task.field[0]}, or $${ where the text itself should hold it
line 12: task four: `models`: List should have at least 2 items after validation, not 1
line 13: task four: a reference stands in a key: only values are filled
line 13: task four: `rubric`: Input should be a valid string
line 14: task env: no task can be called `env`: the name means something else in references
line 16: task env: `when: ${three.parsed.ok} and more` is no condition: write ${task.field}, not ${task.field}, or \
${task.field} == value (!=, <=, >=, <, >, contains are there too)
line 17: task env: `n` is missing
line 17: task env: there is no field `m`; there are n
line 21: task six: ${file.size}: a file has name, path, stem
line 22: ${four.winner}: there is no field of its result `winner`; there are agreement, cost, frontier, judging, \
latency_ms, models, pairs, quote, quoted, response, results, run_id ..."""
    )


def task(name: str, waits: str = "", more: str = "") -> str:
    return f"- {{id: {name}, method: llm/generate, dependencies: [{waits}], parameters: {{prompt: x{more}}}}}\n"


def test_a_ring_is_told_as_it_goes_round() -> None:
    with pytest.raises(Cycle) as caught:
        checked("name: x\ntasks:\n" + task("a") + task("b", "d, a") + task("c", "b") + task("d", "c") + task("e", "d"))
    assert str(caught.value) == "line 4: task b: b waits for d waits for c waits for b: no task may wait for itself"


def test_a_task_that_uses_its_own_result_is_a_ring_of_one() -> None:
    with pytest.raises(Cycle, match="a waits for a: no task may wait for itself"):
        checked('name: x\ntasks:\n- {id: a, method: llm/generate, parameters: {prompt: "${a.response}"}}\n')


def test_faults_of_references_alone_say_so_by_their_kind() -> None:
    with pytest.raises(UnknownReference):
        checked('name: x\ntasks:\n- {id: a, method: llm/generate, parameters: {prompt: "${b.response}"}}\n')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b", "line 1: the file has to be a mapping with `name` and `tasks`"),
        ("name: x", "line 1: `tasks` is missing"),
        ("name: x\ntasks: []", "line 2: `tasks`: List should have at least 1 item after validation, not 0"),
        ("name: x\ntasks:\n- id: 1a\n  method: llm/generate", "line 3: task 1a: `id`: String should match pattern"),
        ("name: x\ntasks:\n- just words", "line 3: Input should be"),
        ("name: x\ntasks:\n- {id: a}", "line 3: task a: `method` is missing"),
        (
            "name: x\ntasks:\n- {id: a, type: batch, method: llm/generate}",
            "line 3: task a: a batch needs `directory` and `template`",
        ),
    ],
)
def test_what_is_no_workflow_is_told_so(text: str, words: str) -> None:
    assert any(problem.startswith(words) for problem in problems(text)), problems(text)


def test_over_a_thousand_tasks_are_refused_and_a_thousand_are_planned() -> None:
    tasks = "".join(task(f"t{index}", f"t{index - 1}" if index else "") for index in range(1001))
    assert "List should have at most 1000 items" in problems(f"name: x\ntasks:\n{tasks}")[0]
    found = checked("name: x\ntasks:\n" + "".join(task(f"t{i}", f"t{i - 1}" if i else "") for i in range(1000)))
    assert list(found.steps) == [f"t{index}" for index in range(1000)]


def test_more_faults_than_anybody_reads_are_counted() -> None:
    tasks = "".join(task(f"t{index}", f"no{index}") for index in range(150))
    with pytest.raises(UnknownReference) as caught:
        checked(f"name: x\ntasks:\n{tasks}")
    assert len(caught.value.problems) == 150
    assert str(caught.value).splitlines()[100:] == ["... and 50 more"]


def test_the_graph_is_drawn_as_text_and_as_mermaid() -> None:
    found = checked(GOOD)
    assert graph.text(found).splitlines() == [
        "review",
        "1",
        "   read: llm/generate",
        "2",
        "   last: mcp/figures.add  when ${read.usage.total} > 3  after read",
        "3",
        "   ask: llm/generate  after last, read",
    ]
    assert graph.mermaid(found).splitlines() == [
        "flowchart TD",
        '    t0["read<br/>llm/generate"]',
        '    t1["last<br/>mcp/figures.add  when ${read.usage.total} > 3"]',
        '    t2["ask<br/>llm/generate"]',
        "    t0 --> t1",
        "    t1 -.-> t2",
        "    t0 --> t2",
    ]


INPUTS = Workflow.model_validate(
    {
        "name": "x",
        "inputs": {
            "text": "string",
            "count": {"type": "integer", "default": 2},
            "how": {"enum": ["slow", "fast"], "required": False},
            "many": {"type": "array", "description": "names", "default": []},
        },
        "tasks": [{"id": "a", "method": "llm/generate"}],
    }
)


def test_inputs_are_filled_with_their_defaults_and_checked_together() -> None:
    assert given(INPUTS, {"text": "a"}) == {"text": "a", "count": 2, "how": None, "many": []}
    with pytest.raises(InvalidInput) as caught:
        given(INPUTS, {"count": True, "how": "odd", "txt": 1})
    assert str(caught.value) == (
        "x: there is no input `txt`; did you mean `text`?; the input `text` is missing; "
        "the input `count` has to be of type integer, not boolean; the input `how` has to be one of slow, fast"
    )


def test_what_is_written_in_a_shell_is_read_as_the_input_says() -> None:
    said = spoken(INPUTS, {"text": "3", "count": "3", "many": '["a"]', "other": "x"})
    assert said == {"text": "3", "count": 3, "many": ["a"], "other": "x"}
    assert signature(INPUTS, "file") == "file(text: string, count: integer = 2, how: string = null, many: array = [])"
