"""Structured answers: where is the JSON, and how to ask for a better one. Whether it fits is for `schemas` to say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mcp_llm.errors import SchemaMismatch
from mcp_llm.schemas.usable import check_schema
from mcp_llm.schemas.validator import Checked, check, validate
from mcp_llm.types.text import unbroken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_llm.types.message import Json

__all__ = ["Checked", "check", "check_schema", "parse", "repair_prompt", "strict", "validate"]

_MOST_STARTS = 50
"""Places in an answer where a JSON value is tried to be read."""
_MOST_DEPTH = 128
"""Levels of a value that are taken; twice as many and nobody downstream can write it as JSON again."""


def parse(text: str) -> Json:
    """The JSON value in an answer: the whole text, else a code fence's content, else the longest object or array in it.

    The only repairs are commas before a closing bracket and raw line breaks inside strings; NaN is refused. Raises
    SchemaMismatch when there is no JSON value, or one that is nested too deep.
    """
    value = _found(text)
    try:
        return _whole(value)
    except RecursionError:
        raise SchemaMismatch(
            f"The model's answer is nested deeper than {_MOST_DEPTH} levels: ask again for less.", text=text
        ) from None


def strict(text: str) -> Json:
    """The JSON value that this text is, such as a tool call's arguments. Raises ValueError where it is none.

    NaN, infinities and what is nested too deep are none: whoever reads the result could not.
    """
    try:
        return _whole(_DECODER.decode(text))
    except RecursionError:
        raise ValueError("nested too deep") from None


def _found(text: str) -> Json:
    stripped = text.strip().removeprefix("\ufeff").strip()
    for candidate in (stripped, *_fenced(stripped)):
        for spelled in (candidate, _without_commas(candidate)):
            try:
                return _DECODER.decode(spelled)
            except (ValueError, RecursionError):
                continue
    for spelled in (stripped, _without_commas(stripped)):
        found = _longest(spelled)
        if found is not None:
            return found[0]
    raise SchemaMismatch(
        "The model's answer holds no JSON value: ask again, or take a model that can do JSON.", text=text
    )


def _refuse(name: str) -> None:
    raise ValueError(name)


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):  # 1e999 is a number in JSON and none that can be written again
        raise ValueError(digits[:20])
    return value


_DECODER = json.JSONDecoder(strict=False, parse_constant=_refuse, parse_float=_finite)


def _whole(value: Json, depth: int = 0) -> Json:
    """The value without the lone surrogates that JSON's escapes can spell and UTF-8 cannot."""
    if isinstance(value, str):
        return unbroken(value)
    if depth > _MOST_DEPTH:
        raise RecursionError
    if isinstance(value, dict):
        return {str(_whole(key)): _whole(item, depth + 1) for key, item in value.items()}
    return [_whole(item, depth + 1) for item in value] if isinstance(value, list) else value


def _fenced(text: str) -> Iterator[str]:
    pieces = text.split("```")
    for piece in pieces[1::2][:_MOST_STARTS]:
        first, _, rest = piece.partition("\n")
        yield (rest if first.strip().isalnum() or not first.strip() else piece).strip()


def _longest(text: str) -> tuple[Json] | None:
    best: tuple[int, Json] | None = None
    at, tries = 0, 0
    while tries < _MOST_STARTS:
        starts = [index for index in (text.find("{", at), text.find("[", at)) if index >= 0]
        if not starts:
            break
        start = min(starts)
        tries += 1
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            at = start + 1
            continue
        if best is None or end - start > best[0]:
            best = (end - start, value)
        at = end
    return None if best is None else (best[1],)


def _without_commas(text: str) -> str:
    """Without the commas that stand before a closing bracket, outside strings; one pass."""
    out: list[str] = []
    quoted = escaped = False
    comma = -1
    for letter in text:
        if quoted:
            quoted = escaped or letter != '"'
            escaped = not escaped and letter == "\\"
        elif letter == '"':
            quoted, comma = True, -1
        elif letter == ",":
            comma = len(out)
        elif letter in "}]" and comma >= 0:
            out[comma] = ""
            comma = -1
        elif not letter.isspace():
            comma = -1
        out.append(letter)
    return "".join(out)


def repair_prompt(errors: list[str], schema: Json) -> str:
    """What to say to a model whose answer did not fit: the errors, the schema, and to answer with JSON alone."""
    listed = "\n".join(f"- {error}" for error in errors) or "- it is not a JSON value"
    return (
        "Your last answer does not satisfy the JSON Schema:\n"
        f"{listed}\n\n"
        f"The schema:\n{json.dumps(schema, ensure_ascii=False, separators=(',', ':'))}\n\n"
        "Answer again with the corrected JSON value only, without a code fence and without any other words."
    )
