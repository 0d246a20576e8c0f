"""Everything about a workflow that can be wrong before it runs, found all at once, each fault with its line. Pure.

A reference is a dependency too. What comes out is the graph: which task waits for which, in an order that works.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from mcp_llm.errors import Cycle, Error, InvalidInput, UnknownReference, WorkflowError

from .condition import Condition, condition
from .inputs import fault, near
from .method import UNKNOWN, Method, dotted, explained, unknown
from .schema import RESERVED, Input, Task, Workflow
from .template import Reference, references

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .load import Node

MOST_PROBLEMS: Final = 100
BATCH: Final = frozenset({"results", "files", "completed", "failed"})
"""Fields of a batch's result."""
FILE: Final = frozenset({"path", "name", "stem"})
"""Fields of `${file}` in a batch's template."""


@dataclass(slots=True)
class Step:
    """A task in its graph. `waits` are the tasks it stands behind, `needs` those of them whose results it uses."""

    number: int
    task: Task
    method: Method
    condition: Condition
    waits: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    followers: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """A workflow that is right; `steps` are by id, in an order in which they could run one by one."""

    workflow: Workflow
    steps: dict[str, Step]


def plan(node: Node, find: Callable[[str], Method]) -> Plan:
    """The graph of a file. `find` gives a method by name, or raises InvalidInput with what there is instead.

    Raises WorkflowError with every fault, sorted by line; UnknownReference or Cycle where all are of that kind.
    """
    return _Checking(node, find).plan()


class _Checking:
    def __init__(self, node: Node, find: Callable[[str], Method]) -> None:
        self._node = node
        self._find = find
        self._problems: list[tuple[int, int, str, type[WorkflowError]]] = []
        self._inputs: dict[str, Input] = {}
        self._ids: dict[str, int] = {}
        self._fields: dict[int, frozenset[str] | None] = {}

    def plan(self) -> Plan:
        workflow, tasks = self._read()
        self._name(tasks)
        steps = {task.id: step for index, task in tasks.items() if (step := self._step(index, task)) is not None}
        for step in steps.values():
            for name in step.waits:
                if name in steps:
                    steps[name].followers.append(step.task.id)
        ordered = self._order(steps)
        if workflow is not None:
            self._references(("outputs",), workflow.outputs, {})
        self._raise()
        assert workflow is not None
        return Plan(workflow, {name: steps[name] for name in ordered})

    # What the file holds

    def _read(self) -> tuple[Workflow | None, dict[int, Task]]:
        """The workflow, or where it is broken those of its tasks that are not."""
        raw = self._node.plain()
        if not isinstance(raw, dict):
            self._problem((), "the file has to be a mapping with `name` and `tasks`")
            return None, {}
        listed = raw.get("tasks")
        listed = listed if isinstance(listed, list) else []
        for index, one in enumerate(listed):
            if isinstance(one, dict) and isinstance(name := one.get("id"), str):
                self._ids.setdefault(name, index)
        try:
            workflow = Workflow.model_validate(raw)
        except ValidationError as exc:
            for place, words in _explained(exc, raw):
                self._problem(place, words)
            inputs = raw.get("inputs")
            self._inputs = {name: Input() for name in inputs} if isinstance(inputs, dict) else {}
            return None, {index: task for index, one in enumerate(listed) if (task := _task(one)) is not None}
        self._inputs = workflow.inputs
        for name, one in workflow.inputs.items():
            if one.default is not None and (wrong := fault(one, one.default)):
                self._problem(("inputs", name, "default"), f"the default of `{name}` {wrong}")
        return workflow, dict(enumerate(workflow.tasks))

    def _name(self, tasks: dict[int, Task]) -> None:
        for index, task in list(tasks.items()):
            place = ("tasks", index, "id")
            if task.id in RESERVED:
                self._problem(place, f"no task can be called `{task.id}`: the name means something else in references")
            if self._ids.get(task.id, index) != index:
                first = self._line(("tasks", self._ids[task.id], "id"))
                self._problem(
                    place, f"the id `{task.id}` is taken" + (f" by the task on line {first}" if first else "")
                )
                del tasks[index]

    def _step(self, index: int, task: Task) -> Step | None:
        here = ("tasks", index)
        call = task.call
        inside = ("template",) if task.type == "batch" else ()
        try:
            method = self._find(call.method)
        except InvalidInput as exc:
            self._problem((*here, *inside, "method"), str(exc))
            method = None
        needs: dict[str, None] = {}
        own = (*here, *inside, "parameters")
        self._references(own, call.parameters, needs, file=task.type == "batch")
        for name in ("directory", "pattern", "when"):
            self._references((*here, name), getattr(task, name), needs)
        if method is not None:
            for place, words in method.faults(call.parameters):
                self._problem((*own, *place), words)
        wanted = self._condition(here, task)
        for number, name in enumerate(task.dependencies):
            if name not in self._ids:
                self._problem((*here, "dependencies", number), self._no_task(name), UnknownReference)
        waits = dict.fromkeys((*task.dependencies, *needs))
        waits = {name: None for name in waits if name in self._ids}
        if method is None or wanted is None:
            method, wanted = method or UNKNOWN, wanted or Condition(None)
        return Step(index, task, method, wanted, tuple(waits), frozenset(needs))

    def _condition(self, here: tuple[str | int, ...], task: Task) -> Condition | None:
        try:
            return condition(task.when)
        except UnknownReference:  # it was told with the other references
            return None
        except InvalidInput as exc:
            self._problem((*here, "when"), str(exc))
            return None

    # References

    def _references(
        self,
        place: tuple[str | int, ...],
        value: Any,
        needs: dict[str, None],
        *,
        file: bool = False,
    ) -> None:
        """Check every reference below a place, and note the tasks that they name."""
        for where, text in _texts(value, place):
            try:
                found = list(references(text))
            except UnknownReference as exc:
                self._problem(where, str(exc), UnknownReference)
                continue
            for one in found:
                if words := self._wrong(one, file=file):
                    self._problem(where, words, UnknownReference)
                elif one.root in self._ids:
                    needs[one.root] = None
        for where in _keys(value, place):
            self._problem(where, "a reference stands in a key: only values are filled", UnknownReference)

    def _wrong(self, one: Reference, *, file: bool) -> str | None:
        first = one.path[0] if one.path else None
        if one.root == "inputs":
            if first is None or first in self._inputs:
                return None
            return f"{one}: {self._near(str(first), list(self._inputs), 'input')}"
        if one.root == "file" and file:
            return None if first is None or first in FILE else f"{one}: a file has {', '.join(sorted(FILE))}"
        if one.root in {"env", "config", "secrets"}:
            return f"{one}: there is no way to the environment or the settings; declare an input"
        if one.root not in self._ids:
            return f"{one}: {self._no_task(one.root)}"
        gives = self._gives(self._ids[one.root])
        if gives is not None and first is not None and first not in gives:
            return f"{one}: {self._near(str(first), sorted(gives), 'field of its result')}"
        return None

    def _gives(self, index: int) -> frozenset[str] | None:
        """The fields of a task's result, None where nobody knows them."""
        if index not in self._fields:
            self._fields[index] = None
            node = self._node.at(("tasks", index))
            if node.at(("type",)).value == "batch":
                self._fields[index] = BATCH
            else:
                with suppress(Error):
                    self._fields[index] = self._find(str(node.at(("method",)).value)).gives
        return self._fields[index]

    def _near(self, name: str, known: list[str], what: str) -> str:
        few = len(self._problems) < MOST_PROBLEMS  # looking for what was meant takes its time
        return near(name, known, what) if few else f"there is no {what} `{name[:60]}`"

    def _no_task(self, name: str) -> str:
        return self._near(name, list(self._ids), "task")

    # The graph

    def _order(self, steps: dict[str, Step]) -> list[str]:
        """Kahn's algorithm: what is left over waits for itself, by whatever way."""
        open_ = {name: sum(one in steps for one in step.waits) for name, step in steps.items()}
        ready = [name for name in steps if not open_[name]]
        for name in ready:
            for follower in steps[name].followers:
                open_[follower] -= 1
                if not open_[follower]:
                    ready.append(follower)
        if len(ready) < len(steps):
            self._cycle(steps, {name for name in steps if open_[name]})
        return ready

    def _cycle(self, steps: dict[str, Step], stuck: set[str]) -> None:
        name = next(iter(name for name in steps if name in stuck))
        way: dict[str, None] = {}
        while name not in way:
            way[name] = None
            name = next(one for one in steps[name].waits if one in stuck)
        ring = [*way][[*way].index(name) :]
        told = " waits for ".join([*ring, name])
        self._problem(("tasks", steps[name].number), f"{told}: no task may wait for itself", Cycle)

    # Faults

    def _line(self, place: tuple[str | int, ...]) -> int:
        return self._node.at(place).line

    def _problem(
        self,
        place: tuple[str | int, ...],
        words: str,
        kind: type[WorkflowError] = WorkflowError,
    ) -> None:
        line = self._line(place)
        who = ""
        if place[:1] == ("tasks",) and isinstance(task := self._node.at(place[:2]).value, dict):
            name = task["id"].value if "id" in task else None
            who = f"task {name}: " if isinstance(name, str) else ""
        before = f"line {line}: " if line else "" if who or not place else f"{dotted(place)}: "
        self._problems.append((line, len(self._problems), f"{before}{who}{words}", kind))

    def _raise(self) -> None:
        if not self._problems:
            return
        self._problems.sort()
        words = list(dict.fromkeys(words for _, _, words, _ in self._problems))
        kinds = {kind for _, _, _, kind in self._problems}
        left = len(words) - MOST_PROBLEMS
        told = words[:MOST_PROBLEMS] + ([f"... and {left} more"] if left > 0 else [])
        kind = kinds.pop() if len(kinds) == 1 else WorkflowError
        raise kind("\n".join(told), problems=words)


def _task(raw: Any) -> Task | None:
    try:
        return Task.model_validate(raw)
    except ValidationError:
        return None


def _explained(error: ValidationError, raw: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for place, words in explained(error, {}, ()):
        if words.startswith("there is no field") and len(place) == 1:
            words = unknown(str(place[-1]), list(Workflow.model_fields))
        elif words.startswith("there is no field") and len(place) == 3 and place[0] == "tasks":
            words = unknown(str(place[-1]), list(Task.model_fields))
        yield place, words


def _texts(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        if "${" in value:
            yield place, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _texts(child, (*place, key))
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _texts(child, (*place, index))


def _keys(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        for key, child in value.items():
            if "${" in key:
                yield (*place, key)
            yield from _keys(child, (*place, key))
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _keys(child, (*place, index))
