"""TOML, changed in one place: a table is written or taken out with those beneath it, every other byte stays. Pure.

It finds tables by their headers, which is how hosts and people write them. What it cannot change that way - one written
inline, or with dotted keys - is refused rather than guessed at.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEADER: Final = re.compile(r"^[ \t]*\[(?!\[)([^\]\r\n]*(?:\"[^\"\r\n]*\"[^\]\r\n]*)*)\][ \t]*(?:#.*)?$")
_ARRAY: Final = re.compile(r"^[ \t]*\[\[")
_QUOTES: Final = re.compile(r'"""|\'\'\'|"(?:[^"\\\r\n]|\\.)*"|\'[^\'\r\n]*\'|#.*')


def parse(text: str) -> dict[str, Any]:
    """The value. Raises InvalidInput with the line that is wrong."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as exc:  # of a number with too many digits it is no TOMLDecodeError
        raise InvalidInput(f"it is no TOML: {str(exc)[:200]}") from None


def put(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    """The text with the table at `path` holding these fields: in the place of the old one, or at the end."""
    lines = "\r\n" if "\r\n" in text else "\n"
    table = lines.join(spelled(path, value)) + lines
    spans = _spans(text, path)
    if not spans:
        between = "" if not text.strip() else lines if text.endswith("\n") else lines * 2
        return f"{text}{between}{table}"
    start, end = spans[0]
    return _cut(text[:start], [], 0) + table + _cut(text[end:], spans[1:], end)


def drop(text: str, path: Sequence[str]) -> str:
    """The text without the table at `path` and those beneath it."""
    spans = _spans(text, path)
    if not spans:
        return text
    kept = _cut(text, spans, 0)
    # The blank line that set it off goes too, where it was the last.
    return re.sub(r"(\r?\n)(?:[ \t]*\r?\n)+\Z", r"\1", kept) if spans[-1][1] == len(text) else kept


def spelled(path: Sequence[str], value: Mapping[str, Any]) -> list[str]:
    """A table as lines; what is a table itself comes last, under a header of its own."""
    head = [f"[{'.'.join(map(_key, path))}]"]
    plain = {name: item for name, item in value.items() if not isinstance(item, dict)}
    inner = {name: item for name, item in value.items() if isinstance(item, dict) and item}
    head += [f"{_key(name)} = {_value(item)}" for name, item in plain.items()]
    for name, item in inner.items():
        head += ["", *spelled([*path, name], item)]
    return head


def _spans(text: str, path: Sequence[str]) -> list[tuple[int, int]]:
    """Where the table at `path` and those beneath it stand, without the blank lines and comments after them."""
    spans: list[tuple[int, int]] = []
    at = 0
    inside: str | None = None
    mine = False
    for line in text.splitlines(keepends=True):
        header = None if inside else _HEADER.match(line.rstrip("\r\n"))
        if header or (not inside and _ARRAY.match(line)):
            mine = header is not None and _names(header[1])[: len(path)] == list(path)
        told = inside is not None or bool(line.strip() and not line.lstrip().startswith("#"))
        if mine and told:
            if header or not spans:
                spans.append((at, at + len(line)))
            else:
                spans[-1] = (spans[-1][0], at + len(line))
        inside = _string(line, inside)
        at += len(line)
    return _joined(text, spans)


def _joined(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Tables with nothing but blank lines between them are one piece."""
    whole: list[tuple[int, int]] = []
    for start, end in spans:
        if whole and not text[whole[-1][1] : start].strip():
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return whole


def _cut(text: str, spans: Sequence[tuple[int, int]], offset: int) -> str:
    for start, end in reversed(spans):
        text = text[: start - offset] + text[end - offset :]
    return text


def _string(line: str, inside: str | None) -> str | None:
    """The quotes of the string of several lines that is open after this line; None where none is."""
    at = 0
    while True:
        if inside is not None:
            end = line.find(inside, at)
            if end < 0:
                return inside
            at, inside = end + 3, None
        found = _QUOTES.search(line, at)
        if found is None or found[0].startswith("#"):
            return None
        if found[0] in {'"""', "'''"}:
            inside = found[0]
        at = found.end()


def _names(header: str) -> list[str]:
    """The names of a header; empty for one that cannot be read, which is then nobody's."""
    try:
        value: Any = tomllib.loads(f"[{header}]")
    except tomllib.TOMLDecodeError:
        return []
    names = []
    while value:
        ((name, value),) = value.items()
        names.append(name)
    return names


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    """JSON's spelling of strings, numbers, booleans and lists of them is TOML's too, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
