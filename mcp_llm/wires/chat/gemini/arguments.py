"""Arguments of a call that arrive as `(jsonPath, value)` pieces (`streamFunctionCallArguments`) -> one JSON text."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,6})\]|\['((?:[^'\\]++|\\.)*+)'\]|\["((?:[^"\\]++|\\.)*+)"\]""")
_ESCAPE: Final = re.compile(r"\\(.)")


class PartialArgs:
    """The arguments of one call while they come in. Wrong paths are a ValueError: the wire does not have them."""

    def __init__(self, args: dict[str, Any] | None = None) -> None:
        self._root: dict[str, Any] = dict(args or {})
        self._path: str | None = None
        self._pieces: list[str] = []

    def add(self, pieces: Iterable[dict[str, Any]]) -> None:
        """Take pieces in the order of the wire; a string goes on while its path stays and `willContinue` was said."""
        for piece in pieces:
            path = piece["jsonPath"]
            if "stringValue" in piece:
                if path != self._path:
                    self._settle()
                    self._path = path
                    _place(self._root, path, "")
                self._pieces.append(piece["stringValue"])
                if not piece.get("willContinue"):
                    self._settle()
                continue
            self._settle()
            for key in ("numberValue", "boolValue"):
                if key in piece:
                    _place(self._root, path, piece[key])
                    break
            else:
                _place(self._root, path, None)

    def text(self, *, cut: bool) -> str:
        """The arguments as JSON; where the model was cut off, without what would make them look complete."""
        self._settle()
        text = json.dumps(self._root, ensure_ascii=False, separators=(",", ":"))
        return text.rstrip('}]"') if cut else text

    def _settle(self) -> None:
        if self._path is not None:
            _place(self._root, self._path, "".join(self._pieces))
            self._path = None
            self._pieces.clear()


def _place(root: dict[str, Any], path: str, value: Any) -> None:
    *way, last = _steps(path)
    node: Any = root
    for step, following in pairwise([*way, last]):
        node = _child(node, step, [] if isinstance(following, int) else {})
    _child(node, last, value)
    node[last] = value


def _child(node: Any, step: str | int, fresh: Any) -> Any:
    """What is at one step, `fresh` where there is nothing yet; a list only grows at its end."""
    if isinstance(node, dict) and isinstance(step, str):
        return node.setdefault(step, fresh)
    if isinstance(node, list) and isinstance(step, int):
        if step == len(node):
            node.append(fresh)
        return node[step]
    raise ValueError("a path that does not fit the arguments before it")


def _steps(path: str) -> list[str | int]:
    """`$.a[0]['b c']` -> ["a", 0, "b c"]."""
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            break
        name, index, single, double = match.groups()
        quoted = single if single is not None else double
        if index is not None:
            steps.append(int(index))
        else:
            steps.append(name if quoted is None else _ESCAPE.sub(r"\1", quoted))
        at = match.end()
    if not path.startswith("$") or at != len(path) or not steps:
        raise ValueError(f"no path into arguments: {path[:80]!r}")
    return steps
