"""JSON with comments, changed in one place: a member is set or taken out, every other byte stays as it was. Pure.

Only the objects on the way to that member are looked into; what lies beside them is skipped, however big. Comments and
last commas are understood as editors understand them. A name that stands twice means its last value, as in JSON.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TOKEN: Final = re.compile(
    r'[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/|(?P<string>"(?:[^"\\]++|\\.)*+")|(?P<mark>[][{}:,])|(?P<word>[^][{}:,"/\s]+)',
    re.DOTALL,
)
_COMMENT: Final = re.compile(r'("(?:[^"\\]++|\\.)*+"?)|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA: Final = re.compile(r'("(?:[^"\\]++|\\.)*+"?)|,(?=\s*[}\]])', re.DOTALL)
"""A string that is never closed ends with the text: tried again from each quote within, it would cost its square."""


@dataclass(slots=True)
class _Member:
    name: str
    start: int
    value: int
    end: int = 0
    comma: int | None = None
    """Where the comma after it stands."""


@dataclass(slots=True)
class _Object:
    start: int
    end: int = 0
    members: list[_Member] = field(default_factory=list)


def parse(text: str) -> Any:
    """The value; None for nothing but white space and comments. Raises InvalidInput with the line that is wrong."""
    plain = _COMMENT.sub(lambda match: match[1] or re.sub(r"[^\r\n]", " ", match[0]), text)
    plain = _LAST_COMMA.sub(lambda match: match[1] or " ", plain)
    if not plain.strip(" \t\r\n"):
        return None
    try:
        return json.loads(plain)
    except json.JSONDecodeError as exc:
        raise InvalidInput(f"line {exc.lineno} is no JSON ({exc.msg})") from None
    except ValueError:
        raise InvalidInput("it holds a number with too many digits") from None
    except RecursionError:
        raise InvalidInput("it is nested too deep") from None


def put(text: str, path: Sequence[str], value: Any) -> str:
    """The text with the member at `path` set; objects that are missing on the way are made."""
    if parse(text) is None:
        before = text.rstrip()
        lines = _lines(text)
        return f"{before}{lines if before else ''}{_spelled(_nested(path, value), '  ', '', lines)}{lines}"
    at = _start(text)
    for depth, name in enumerate(path):
        here = _object(text, at, path[:depth])
        member = _last(here, name)
        if member is None:
            return _inserted(text, here, name, _nested(path[depth + 1 :], value))
        at = member.value
        if depth == len(path) - 1:
            spelled = _spelled(value, _unit(text), _indent(text, member.start), _lines(text))
            if "\n" not in text[here.start : here.end]:
                spelled = json.dumps(value, ensure_ascii=False)
            return text[: member.value] + spelled + text[member.end :]
    return text


def drop(text: str, path: Sequence[str]) -> str:
    """The text without the member at `path`, and as it was where there is none."""
    if parse(text) is None:
        return text
    at = _start(text)
    for depth, name in enumerate(path):
        here = _object(text, at, path[:depth])
        member = _last(here, name)
        if member is None:
            return text
        at = member.value
        if depth == len(path) - 1:
            return _without(text, here, member)
    return text


def _tokens(text: str, at: int) -> Iterator[re.Match[str]]:
    """Strings, marks and words from `at` on, without what stands between them."""
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise InvalidInput(f"line {text.count(chr(10), 0, at) + 1} is no JSON")
        at = found.end()
        if found.lastgroup is not None:
            yield found


def _start(text: str) -> int:
    return next(_tokens(text, 0)).start()


def _object(text: str, at: int, path: Sequence[str]) -> _Object:
    """The members of the object that begins at `at`."""
    if text[at] != "{":
        raise InvalidInput(f"`{'.'.join(path) or 'the whole file'}` is no object")
    found = _Object(at)
    level = 0
    name: re.Match[str] | None = None
    for token in _tokens(text, at):
        mark = token[0]
        if mark in "{[" and token.lastgroup == "mark":
            level += 1
        if level == 1 and mark == "}":
            found.end = token.start()
            return found
        if level == 1 and mark not in "{":
            if mark == ",":
                if not found.members:
                    raise InvalidInput(f"line {text.count(chr(10), 0, token.start()) + 1}: a comma after nothing")
                found.members[-1].comma = token.start()
                name = None
            elif name is None:
                name = token
            elif mark != ":":
                found.members.append(_Member(json.loads(name[0]), name.start(), token.start(), token.end()))
        elif level == 2 and mark in "{[" and token.lastgroup == "mark" and name is not None:
            found.members.append(_Member(json.loads(name[0]), name.start(), token.start()))
        if mark in "}]" and token.lastgroup == "mark":
            level -= 1
            if level == 1:
                found.members[-1].end = token.end()
    raise InvalidInput("an object is not closed")


def _last(here: _Object, name: str) -> _Member | None:
    return next((member for member in reversed(here.members) if member.name == name), None)


def _inserted(text: str, here: _Object, name: str, value: Any) -> str:
    """A new last member, in the manner of those before it."""
    lines, unit = _lines(text), _unit(text)
    if not here.members:
        outer = _indent(text, here.start)
        inside = text[here.start + 1 : here.end].rstrip(" \t\r\n")
        member = f"{json.dumps(name)}: {_spelled(value, unit, outer + unit, lines)}"
        return f"{text[: here.start + 1]}{inside}{lines}{outer + unit}{member}{lines}{outer}{text[here.end :]}"
    last = here.members[-1]
    tail = text[last.end : here.end]  # a comma, comments, white space
    kept = tail.rstrip(" \t\r\n")
    if last.comma is None:
        kept = f",{kept}"
    comma = "" if last.comma is None else ","
    if "\n" not in text[here.start : here.end]:  # all on one line
        spelled = json.dumps(value, ensure_ascii=False)
        space = tail[len(tail.rstrip(" \t")) :]
        return f"{text[: last.end]}{kept} {json.dumps(name)}: {spelled}{comma}{space}{text[here.end :]}"
    indent = _indent(text, last.start)
    member = f"{json.dumps(name)}: {_spelled(value, unit, indent, lines)}"
    end = tail[len(tail.rstrip(" \t\r\n")) :] or f"{lines}{_indent(text, here.start)}"
    return f"{text[: last.end]}{kept}{lines}{indent}{member}{comma}{end}{text[here.end :]}"


def _without(text: str, here: _Object, member: _Member) -> str:
    """From the end of what comes before the member to its own end, with one comma."""
    index = here.members.index(member)
    before = here.members[index - 1] if index else None
    if member.comma is not None:
        # With the line it stands on, if it has lines of its own; a comment before it is somebody's, and stays.
        start, end = member.start, member.comma + 1
        rest = re.compile(r"[ \t]*(\r?\n)?").match(text, end)
        own = text[text.rfind("\n", 0, start) + 1 : start].strip(" \t") == ""
        if own and rest is not None and rest[1]:
            return text[: text.rfind("\n", 0, start) + 1] + text[rest.end() :]
        return text[:start] + text[end:].lstrip(" \t")
    if before is None or before.comma is None:
        head, rest_of = text[: member.start].rstrip(" \t\r\n"), text[member.end :]
        return head + (rest_of.lstrip(" \t") if "\n" in text[member.end : here.end] else rest_of)
    # It was the last one: what comes before it loses its comma and keeps its comments.
    between = text[before.comma + 1 : member.start].rstrip(" \t\r\n")
    line = between.rpartition("\n")[2]
    ended = "" if "//" not in line or text[member.end :].lstrip(" \t\r").startswith("\n") else _lines(text)
    return text[: before.comma] + between + ended + text[member.end :]


def _nested(path: Sequence[str], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _spelled(value: Any, unit: str, indent: str, lines: str) -> str:
    """A value over several lines, each after the first begun with `indent`."""
    return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", lines + indent)


def _lines(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str) -> str:
    """What one level is indented by: the first indented line's white space, two blanks where there is none."""
    found = re.search(r"^([ \t]+)\"", text, re.MULTILINE)
    return found[1] if found else "  "


def _indent(text: str, at: int) -> str:
    """The white space that the line of `at` begins with."""
    start = text.rfind("\n", 0, at) + 1
    return text[start : start + len(text[start:at]) - len(text[start:at].lstrip(" \t"))]
