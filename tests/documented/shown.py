"""How the reference shows things: pages, tables, docstrings, types, defaults and fields."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import types
import typing
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mcp_llm import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

MADE: Final = "<!-- Made of the code by tests/documented/reference.py; changes by hand are lost. -->"


def page(title: str, lead: str, *parts: str) -> str:
    """A page of these parts."""
    return "\n\n".join([f"# {title}", MADE, lead, *(part.strip("\n") for part in parts if part)]) + "\n"


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def doc(thing: object) -> str:
    """A docstring as Markdown: paragraphs as they are, sections as lists, indented examples as code."""
    pieces = []
    for piece in (inspect.getdoc(thing) or "").split("\n\n"):
        if piece.startswith("    "):
            pieces.append(f"```python\n{textwrap.dedent(piece).rstrip()}\n```")
        elif (section := re.match(r"(Args|Raises):\n", piece)) is not None:
            items = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", piece, re.MULTILINE)
            listed = [f"- `{name}`: {' '.join(words.split())}" for name, words in items]
            pieces.append("\n".join([f"{section[1]}:\n", *listed]))
        else:
            pieces.append(" ".join(piece.split()))
    return "\n\n".join(pieces)


@cache
def said(model: type) -> dict[str, str]:
    """What stands below each field of a class in its source."""
    body = ast.parse(inspect.getsource(model)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for one, after in zip(body.body, body.body[1:], strict=False):
        words = after.value if isinstance(after, ast.Expr) else None
        if isinstance(one, ast.AnnAssign) and isinstance(words, ast.Constant) and isinstance(words.value, str):
            assert isinstance(one.target, ast.Name)
            found[one.target.id] = words.value
    return found


def spoken(kind: Any) -> str:
    """A type in words, with the bounds that it is given."""
    if kind in (settings.USD, settings.Seconds):
        return "dollars" if kind == settings.USD else "seconds, above 0"
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return spoken(inside[0]) + _bounds(inside[1:])
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inside)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(dict.fromkeys(spoken(one) for one in inside if one is not type(None)))
    if origin in {tuple, list} and inside:
        return f"list of {spoken(inside[0])}"
    if origin is dict and len(inside) == 2 and inside[1] is not Any:
        return f"table of {spoken(inside[1])}"
    if kind in _WORDS:
        return _WORDS[kind]
    return f"`{kind.__name__}`" if inspect.isclass(kind) and issubclass(kind, BaseModel) else "any"


_WORDS: Final[dict[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    bytes: "bytes",
    Decimal: "number",
    dict: "table",
    typing.Any: "any",
    type(None): "null",
}


def _bounds(given: tuple[Any, ...]) -> str:
    found = []
    for one in given:
        for bound in one.metadata if isinstance(one, FieldInfo) else (one,):
            if isinstance(bound, annotated_types.Ge):
                found.append(f"at least {bound.ge}")
            if isinstance(bound, annotated_types.Gt):
                found.append(f"above {bound.gt}")
            if isinstance(bound, annotated_types.Le):
                found.append(f"at most {bound.le}")
    return f", {', '.join(found)}" if found else ""


def default(field: FieldInfo) -> str:
    """What holds where nothing is said."""
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "not set"
    if isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(repr(one) for one in value)}]`"
    return f"`{value!r}`" if isinstance(value, str | dict) else f"`{value}`"


def fields(model: type[BaseModel], *, without: frozenset[str] = frozenset()) -> list[tuple[str, ...]]:
    """(name, type, default, words) of each field."""
    hints = typing.get_type_hints(model, include_extras=True)
    words: dict[str, str] = {}
    for one in reversed(model.__mro__):
        words |= said(one) if one.__module__.startswith("mcp_llm") else {}
    return [
        (f"`{name}`", spoken(hints[name]), default(field), field.description or words.get(name, ""))
        for name, field in model.model_fields.items()
        if name not in without
    ]
