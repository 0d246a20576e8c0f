"""The inputs of a workflow: what a caller gave, checked against what is declared, with the defaults filled in. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput
from mcp_llm.types.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .schema import Input, Workflow

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "any": (object,),
}
_KINDS: Final = (
    (bool, "boolean"),
    (str, "string"),
    (int, "integer"),
    (float, "number"),
    (list, "array"),
    (dict, "object"),
)


def given(workflow: Workflow, values: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with their defaults. Raises InvalidInput naming all that is missing, unknown or of another type."""
    wrong = [near(name, list(workflow.inputs), "input") for name in values if name not in workflow.inputs]
    found: dict[str, Any] = {}
    for name, declared in workflow.inputs.items():
        value = values.get(name)
        if value is None:
            if declared.needed:
                said = f" ({declared.description})" if declared.description else ""
                wrong.append(f"the input `{name}` is missing{said}")
            found[name] = declared.default
        else:
            found[name] = value
            if words := fault(declared, value):
                wrong.append(f"the input `{name}` {words}")
    if wrong:
        raise InvalidInput(f"{workflow.name}: {'; '.join(wrong)}")
    return found


def fault(declared: Input, value: Any) -> str | None:
    """Why a value is none for this input, as the end of a sentence."""
    boolean = isinstance(value, bool) and declared.type not in {"boolean", "any"}
    if boolean or not isinstance(value, _TYPES[declared.type]):
        kind = next((name for kind, name in _KINDS if isinstance(value, kind)), "null")
        return f"has to be of type {declared.type}, not {kind}"
    if declared.enum is not None and value not in declared.enum:
        return f"has to be one of {', '.join(map(str, declared.enum))}"
    return None


def spoken(workflow: Workflow, values: Mapping[str, str]) -> dict[str, Any]:
    """Inputs written as text, as on a command line: what is declared as text stays text, the rest is read as JSON."""
    found: dict[str, Any] = {}
    for name, text in values.items():
        declared = workflow.inputs.get(name)
        found[name] = text
        if declared is not None and declared.type != "string":
            try:
                found[name] = json.loads(text)
            except ValueError:  # told by `given`, with the type that is wanted
                continue
    return found


def signature(workflow: Workflow, name: str) -> str:
    """The name it is called by and its inputs in a line: `review(file: string, depth: integer = 2)`."""
    pieces = [
        f"{name}: {one.type}" + ("" if one.needed else f" = {json.dumps(one.default, ensure_ascii=False)[:40]}")
        for name, one in workflow.inputs.items()
    ]
    return f"{name}({', '.join(pieces)})"


def near(name: str, known: Sequence[str], what: str) -> str:
    """There is no such thing, and which one was probably meant."""
    close = nearest(name, known)
    listed = ", ".join(known[:12]) + (" ..." if len(known) > 12 else "")
    hint = f"did you mean `{close[0]}`?" if close else f"there are {listed}" if known else "there are none"
    return f"there is no {what} `{name[:60]}`; {hint}"
