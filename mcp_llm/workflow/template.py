"""`${task.field[0]}` in values: scanned by hand, once, and filled once; what was filled in is never read again. Pure.

A value that is one reference and nothing else keeps its type. Within other text a text is inserted as it is, anything
else as JSON. `$${` stands for a plain `${`. No expressions, no functions, and no way to the environment or settings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mcp_llm.errors import TooLarge, UnknownReference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST: Final = 8 * 1024 * 1024
"""Characters that the filled values of one task may have."""
_FIRST: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_WORD: Final = _FIRST | frozenset("0123456789-")
_DIGITS: Final = frozenset("0123456789")
_LONGEST: Final = 256
"""Characters of one reference."""
_SHOWN: Final = 60
MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Reference:
    """`${root.step[0]}`: the task (or `inputs`, or `file`) that it names, and the way from there."""

    root: str
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return f"${{{self.root}{steps}}}"


Piece: TypeAlias = "str | Reference"


def scan(text: str) -> list[Piece]:
    """The text as words and references, in one pass. Raises UnknownReference for a `${` that begins none."""
    pieces: list[Piece] = []
    words: list[str] = []
    start = 0
    while (found := text.find("${", start)) >= 0:
        if found > start and text[found - 1] == "$":
            words.append(f"{text[start : found - 1]}${{")
            start = found + 2
            continue
        words.append(text[start:found])
        reference, start = _reference(text, found)
        if joined := "".join(words):
            pieces.append(joined)
        words = []
        pieces.append(reference)
    words.append(text[start:])
    if joined := "".join(words):
        pieces.append(joined)
    return pieces


def _reference(text: str, start: int) -> tuple[Reference, int]:
    """The reference whose `${` stands at `start`, and where the text goes on behind its brace."""
    at, end = start + 2, min(len(text), start + _LONGEST)
    steps: list[str | int] = []
    while at < end:
        begun = at
        if not steps or text[at] == ".":
            at += bool(steps)
            first = at
            while at < end and text[at] in (_WORD if at > first else _FIRST):
                at += 1
            if at == first:
                break
            steps.append(text[first:at])
        elif text[at] == "[":
            close = at + 1
            while close < end and text[close] in _DIGITS:
                close += 1
            if not at + 1 < close < at + 11 or text[close : close + 1] != "]":
                break
            steps.append(int(text[at + 1 : close]))
            at = close + 1
        else:
            at = begun
            break
        if text[at : at + 1] == "}":
            return Reference(str(steps[0]), tuple(steps[1:])), at + 1
    shown = " ".join(text[start : start + _SHOWN].split())
    raise UnknownReference(
        f"`{shown}` is no reference: write ${{task.field[0]}}, or $${{ where the text itself should hold it"
    )


def references(value: Any) -> Iterator[Reference]:
    """Every reference in a value, however deep. Raises UnknownReference."""
    if isinstance(value, str):
        if "${" in value:
            yield from (piece for piece in scan(value) if isinstance(piece, Reference))
    elif isinstance(value, dict):
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from references(child)


def child(value: Any, step: str | int) -> Any:
    """What a value holds under a name or a number; MISSING where it holds nothing there."""
    if isinstance(step, str):
        return value.get(step, MISSING) if isinstance(value, dict) else MISSING
    return value[step] if isinstance(value, list | tuple) and step < len(value) else MISSING


def look(reference: Reference, value: Any) -> Any:
    """What a reference means, given its root's value. Raises UnknownReference naming the step that is not there."""
    for number, step in enumerate(reference.path):
        if (found := child(value, step)) is MISSING:
            walked = Reference(reference.root, reference.path[:number])
            raise UnknownReference(f"{reference} is not there: {_has(walked, step, value)}")
        value = found
    return value


def _has(walked: Reference, step: str | int, value: Any) -> str:
    """What the last thing on the way has instead."""
    if isinstance(value, dict):
        names = ", ".join(str(name)[:40] for name in list(value)[:12])
        return f"{walked} has no field {str(step)[:40]!r}; it has {names or 'none'}"
    if isinstance(value, list):
        return f"{walked} is a list of {len(value)}"
    kind = {str: "text", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
    return f"{walked} is {kind}" + ("; ask for `json_schema` and use `.parsed`" if isinstance(value, str) else "")


@dataclass(slots=True)
class Filling:
    """Fills the values of one task; `left` is how many characters it may still write."""

    resolve: Callable[[Reference], Any]
    left: int = MOST

    def fill(self, value: Any) -> Any:
        """The value with its references replaced. Raises UnknownReference and TooLarge."""
        if isinstance(value, str):
            return self._text(value) if "${" in value else self._counted(value)
        if isinstance(value, dict):
            return {key: self.fill(child) for key, child in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(child) for child in value]
        return value

    def _text(self, text: str) -> Any:
        pieces = scan(text)
        if len(pieces) == 1 and isinstance(pieces[0], Reference):
            return self._counted(self.resolve(pieces[0]))
        words: list[str] = []
        for piece in pieces:
            found = piece if isinstance(piece, str) else self.resolve(piece)
            if not isinstance(found, str):
                self._fits(_size(found, self.left))  # before it is written, which may be all the memory there is
                found = json.dumps(found, ensure_ascii=False)
            self._spend(len(found))
            words.append(found)
        return "".join(words)

    def _counted(self, value: Any) -> Any:
        self._spend(_size(value, self.left))
        return value

    def _spend(self, characters: int) -> None:
        self._fits(characters)
        self.left -= characters

    def _fits(self, characters: int) -> None:
        if characters > self.left:
            raise TooLarge(f"what is filled in has over {MOST // 1024 // 1024} MiB: pass less on, or the part needed")


def _size(value: Any, most: int) -> int:
    """About how many characters a value has as JSON; counting ends where it is over `most`."""
    total, rest = 0, [value]
    while rest and total <= most:
        one = rest.pop()
        if isinstance(one, str):
            total += len(one)
        elif isinstance(one, dict):
            total += sum(len(key) for key in one) + 2 * len(one)
            rest.extend(one.values())
        elif isinstance(one, list | tuple):
            total += 2 * len(one)
            rest.extend(one)
        else:
            total += 4
    return total
