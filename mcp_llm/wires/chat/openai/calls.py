"""Tool calls in the deltas of a Chat Completions reply: which delta goes on with which call.

They are told apart by index, and by id where servers leave the index out or give it to every call. Ids and names count
once, however often they come; only arguments grow.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.types.chat import Delta
from mcp_llm.types.message import ToolCall
from mcp_llm.wires.words import word

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from mcp_llm.types.message import Echo, Json

_MARK: Final = re.compile(r'\\.?|["{}\[\]]', re.S)
"""What opens or closes something in JSON, and what only looks like it behind a backslash."""


@dataclass(slots=True)
class _Call:
    slot: int
    id: str = ""
    name: str = ""
    unread: list[str] = field(default_factory=list)
    """Pieces of the arguments that `open` does not know yet."""
    open: int = 0
    quoted: bool = False
    escaped: bool = False

    def is_other(self, call_id: str, name: str) -> bool:
        """Whether this id or name belongs to another call."""
        return bool((call_id and self.id and call_id != self.id) or (self.name and name != self.name))

    def is_complete(self) -> bool:
        """Whether nothing in the arguments is open by now; none count as whole. Every piece is read once."""
        for piece in self.unread:
            begin, self.escaped = int(self.escaped), False
            for mark in _MARK.findall(piece, begin):
                if mark[0] == "\\":
                    self.escaped = len(mark) == 1
                elif mark == '"':
                    self.quoted = not self.quoted
                elif not self.quoted:
                    self.open += 1 if mark in "{[" else -1
        self.unread.clear()
        return self.open <= 0 and not self.quoted


class Calls:
    """The calls of one reply. Their slots are negative, so that they meet no other's."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[Hashable, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._number = 0

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self._calls)

    def delta(self, data: dict[str, Any]) -> Delta:
        """What one entry of `tool_calls` adds."""
        custom = data.get("custom")
        function = data.get("function") or custom or {}
        call_id, name = word(data.get("id")) or "", function.get("name") or ""
        arguments = function.get("arguments")
        if arguments is None:
            arguments = function.get("input") or ""
        if not isinstance(arguments, str):
            arguments = dumped(arguments)
        call = self._find(data.get("index"), call_id, name)
        new_id, new_name = "", ""
        if call_id and not call.id:
            new_id = self._named(call, call_id)
        if name and not call.name:
            new_name = call.name = name
        if arguments:
            call.unread.append(arguments)
        echo: Echo = {"extra_content": data["extra_content"]} if data.get("extra_content") else {}
        if custom:
            echo["custom"] = True
        return Delta(call.slot, ToolCall(new_id, new_name, arguments, echo or None))

    def unnamed(self) -> Iterator[Delta]:
        """At the end: ids for the calls that came without."""
        for call in self._calls:
            if not call.id:
                yield Delta(call.slot, ToolCall(self._named(call, ""), ""))

    def _find(self, index: Hashable, call_id: str, name: str) -> _Call:
        """The call that a delta goes on with, or a new one."""
        last = self._calls[-1] if self._calls else None
        if index is not None:
            found = self._by_index.get(index)
            if found is not None and name and found.is_other(call_id, name) and found.is_complete():
                found = None  # every call under one index, as some compatible front ends have it
        elif call_id:
            found = self._by_id.get(call_id)
        elif not name or (last is not None and last.name == name and not last.is_complete()):
            found = last
        else:
            found = None
        if found is None:
            found = _Call(-1 - len(self._calls))
            self._calls.append(found)
        if index is not None:
            self._by_index[index] = found
        return found

    def _named(self, call: _Call, call_id: str) -> str:
        """Gives a call its id, one of ours where that is none or another's."""
        while not call_id or call_id in self._by_id:
            call_id = f"call_{self._number}"
            self._number += 1
        call.id = call_id
        self._by_id[call_id] = call
        return call_id


def dumped(value: Json) -> str:
    """Compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
