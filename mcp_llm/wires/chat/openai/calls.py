"""Tool calls in the deltas of a Chat Completions reply: which delta goes on with which call.

They are told apart by index, and by id where servers leave the index out or give it to every call. Ids and names count
once, however often they come; only arguments grow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcp_llm.types.chat import Delta
from mcp_llm.types.message import ToolCall

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from mcp_llm.types.message import Echo, Json


@dataclass(slots=True)
class _Call:
    slot: int
    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)

    def is_other(self, call_id: str, name: str) -> bool:
        """Whether this id or name belongs to another call."""
        return bool((call_id and self.id and call_id != self.id) or (self.name and name != self.name))

    def is_complete(self) -> bool:
        """Whether the arguments are whole by now; none count as whole."""
        try:
            json.loads("".join(self.pieces) or "{}")
        except ValueError:
            return False
        return True


class Calls:
    """The calls of one reply. Their slots are negative, so that they meet no other's."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[Hashable, _Call] = {}

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
            taken = any(other.id == call_id for other in self._calls)
            new_id = call.id = self._invented() if taken else call_id
        if name and not call.name:
            new_name = call.name = name
        if arguments:
            call.pieces.append(arguments)
        echo: Echo = {"extra_content": data["extra_content"]} if data.get("extra_content") else {}
        if custom:
            echo["custom"] = True
        return Delta(call.slot, ToolCall(new_id, new_name, arguments, echo or None))

    def unnamed(self) -> Iterator[Delta]:
        """At the end: ids for the calls that came without."""
        for call in self._calls:
            if not call.id:
                call.id = self._invented()
                yield Delta(call.slot, ToolCall(call.id, ""))

    def _find(self, index: Hashable, call_id: str, name: str) -> _Call:
        """The call that a delta goes on with, or a new one."""
        last = self._calls[-1] if self._calls else None
        if index is not None:
            found = self._by_index.get(index)
            if found is not None and name and found.is_other(call_id, name) and found.is_complete():
                found = None  # every call under one index, as some compatible front ends have it
        elif call_id:
            found = next((call for call in self._calls if call.id == call_id), None)
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

    def _invented(self) -> str:
        taken = {call.id for call in self._calls}
        return next(name for number in range(len(taken) + 1) if (name := f"call_{number}") not in taken)


def word(value: Json) -> str | None:
    """A name or an id, which some servers give as a number."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def dumped(value: Json) -> str:
    """Compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
