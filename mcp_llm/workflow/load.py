"""YAML text -> plain JSON values that know their lines; the only user of the YAML library.

Built from the parser's events, so nothing is ever constructed: no tags, anchors, aliases or merge keys, no two equal
keys, and nothing deeper than 32. A plain word is a number, a boolean or null only where JSON would write it the same
way; anything else keeps its text: `no` is "no", `010` is "010", `1.10` is "1.10", `12:30:45` is "12:30:45".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mcp_llm.errors import WorkflowError

from .template import child

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES: Final = 1024 * 1024
MOST_DEPTH: Final = 32
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"-?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

Children: TypeAlias = "dict[str, Node] | list[Node]"


@dataclass(slots=True)
class Node:
    """A value and the line it stands on (the first is 1); of an entry in a mapping the line of its key."""

    line: int
    value: Any
    """A scalar, a dict of nodes or a list of nodes."""

    def plain(self) -> Any:
        """The value as JSON."""
        if isinstance(self.value, dict):
            return {key: one.plain() for key, one in self.value.items()}
        return [one.plain() for one in self.value] if isinstance(self.value, list) else self.value

    def at(self, place: tuple[str | int, ...]) -> Node:
        """The node at a place, or the last one on the way there."""
        node = self
        for step in place:
            if not isinstance(found := child(node.value, step), Node):
                break
            node = found
        return node


def read(data: bytes | str) -> Node:
    """The one document of a file. Raises WorkflowError with the line; nothing is parsed of a file over 1 MiB."""
    if len(data) > MOST_BYTES or (isinstance(data, str) and len(data.encode("utf-8", "replace")) > MOST_BYTES):
        raise WorkflowError(f"the file is over {MOST_BYTES // 1024} KiB: split the workflow")
    text = data if isinstance(data, str) else _decoded(data)
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Composer(yaml.parse(text, Loader=loader)).document()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise WorkflowError(f"{line}this is no YAML: {exc.problem or exc.context}") from None
    except (yaml.reader.ReaderError, UnicodeEncodeError) as exc:
        at = exc.start if isinstance(exc, UnicodeEncodeError) else exc.position
        number = text.count("\n", 0, at) + 1
        raise WorkflowError(f"line {number}: the file holds a character that YAML does not allow") from None


def of(value: Any) -> Node:
    """A workflow written as a Python dict, as if it stood on one line."""
    if isinstance(value, dict):
        return Node(0, {str(key): of(one) for key, one in value.items()})
    return Node(0, [of(one) for one in value] if isinstance(value, list | tuple) else value)


def _decoded(data: bytes) -> str:
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise WorkflowError("the file is UTF-16: save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise WorkflowError(f"line {line}, byte {exc.start}: this is not UTF-8; save the file as UTF-8") from None


class _Composer:
    """Events -> nodes, refusing on the way whatever a workflow has no use for."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._kind = ""
        self._event: Any = None

    def document(self) -> Node:
        self._next()  # StreamStart
        self._next()
        if self._kind == "StreamEnd":
            raise WorkflowError("the file is empty: it needs a name and tasks")
        self._next()
        node = self._node(1)
        self._next()  # DocumentEnd
        self._next()
        if self._kind != "StreamEnd":
            raise WorkflowError(f"line {self._line}: a second document begins here; a file holds one workflow")
        return node

    @property
    def _line(self) -> int:
        return int(self._event.start_mark.line) + 1

    def _next(self) -> None:
        self._event = next(self._events)
        self._kind = type(self._event).__name__.removesuffix("Event")

    def _refuse(self, words: str) -> WorkflowError:
        return WorkflowError(f"line {self._line}: {words}")

    def _node(self, depth: int) -> Node:
        """The node that the current event begins; the current event is its last one afterwards."""
        event, line = self._event, self._line
        if self._kind == "Alias":
            raise self._refuse("aliases (`*name`) are not read: write the value out")
        if event.anchor is not None:
            raise self._refuse("anchors (`&name`) are not read: write the value out where it is needed")
        if event.tag is not None:
            raise self._refuse(f"tags (`{str(event.tag)[:40]}`) are not read: write the plain value")
        if self._kind == "Scalar":
            return Node(line, _scalar(event.value) if event.implicit[0] else event.value)
        if depth > MOST_DEPTH:
            raise self._refuse(f"it is nested deeper than {MOST_DEPTH}")
        if self._kind == "SequenceStart":
            return Node(line, list(self._items(depth)))
        return Node(line, self._mapping(depth))

    def _items(self, depth: int) -> Iterator[Node]:
        self._next()
        while self._kind != "SequenceEnd":
            yield self._node(depth + 1)
            self._next()

    def _mapping(self, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        self._next()
        while self._kind != "MappingEnd":
            line = self._line
            if self._kind not in {"Scalar", "Alias"}:
                raise self._refuse("a key has to be one word; a list or a mapping cannot be one")
            if self._kind == "Scalar" and self._event.value == "<<" and self._event.implicit[0]:
                raise self._refuse("merge keys (`<<`) are not read: write the values out")
            self._node(depth)
            key = self._event.value
            if key in found:
                raise self._refuse(f"`{key[:60]}` is given twice; it stands on line {found[key].line} already")
            self._next()
            found[key] = self._node(depth + 1)
            found[key].line = line
            self._next()
        return found


def _scalar(text: str) -> Any:
    """What a plain word says: see the top of this file."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and text != "-0":
        return int(text)
    if _FLOAT.fullmatch(text) and repr(value := float(text)) == text:
        return value
    return text
