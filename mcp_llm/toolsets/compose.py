"""Toolsets as one toolset: each tool under a name that says whose it is and that every vendor takes."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

import anyio

from mcp_llm.types.nearest import nearest

from . import text
from .base import Tool, Tools, Toolset, failed
from .results import MOST_BYTES, Overflow, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp_llm.types.message import ToolResult

MOST_NAME: Final = 64
_MARKED_FROM: Final = MOST_NAME - 7
SEPARATOR: Final = "__"
_ODD: Final = re.compile(r"[^A-Za-z0-9_-]")


class Group:
    """Several toolsets as one: the member `time` gives `time__now`, the member `""` its tools under their own names.

    Names are made of [A-Za-z0-9_-], at most 64 characters and unique; a name that had to be changed ends in a hash of
    the real one, so that it does not depend on its neighbours. Results are cut to `most` bytes, the rest goes to
    `overflow`. `errors` says which members have no tools, and why, in sentences for the model: servers that could not
    be opened, and toolsets that failed to list theirs.
    """

    def __init__(
        self,
        members: Mapping[str, Toolset],
        *,
        errors: Mapping[str, str] | None = None,
        overflow: Overflow | None = None,
        most: int = MOST_BYTES,
    ) -> None:
        self.members = dict(members)
        self.errors = dict(errors or {})
        self._overflow = overflow
        self._most = most
        self._routes: dict[str, tuple[Toolset, Tool]] | None = None

    @property
    def notes(self) -> dict[str, tuple[str, ...]]:
        """By member: what was left out of its tools, in sentences for the user."""
        said = {name: tuple(getattr(member, "notes", ())) for name, member in self.members.items()}
        return {name: notes for name, notes in said.items() if notes}

    async def list(self) -> Tools:
        """All tools: members in their order, a member's tools by name."""
        found: dict[str, Tools] = {}

        async def ask(name: str, member: Toolset) -> None:
            try:
                found[name] = await member.list()
                self.errors.pop(name, None)
            except Exception as error:  # it should not raise; the others' tools are there all the same
                found[name] = []
                why = f"{type(error).__name__}: {text.line(str(error))}"
                self.errors[name] = f"The tools of {name or 'this program'!r} cannot be listed ({why})."

        async with anyio.create_task_group() as tasks:
            for name, member in self.members.items():
                tasks.start_soon(ask, name, member)
        routes: dict[str, tuple[Toolset, Tool]] = {}
        listed: Tools = []
        # Unprefixed names are ours: no server may take one, whatever it calls its tools.
        for prefix in sorted(self.members, key=lambda name: name != ""):
            for tool in sorted(found[prefix], key=lambda tool: tool.name):
                name = offered(prefix, tool.name)
                if name in routes:
                    name = _marked(name, f"{prefix}\0{tool.name}")
                if name in routes:
                    continue
                routes[name] = (self.members[prefix], tool)
                listed.append(tool.named(name))
        self._routes = routes
        return listed

    async def tool(self, name: str) -> Tool | None:
        """The tool of this (offered) name."""
        if self._routes is None:
            await self.list()
        found = (self._routes or {}).get(name)
        return found[1].named(name) if found else None

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        call_id: str = "",
        meta: dict[str, Any] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> ToolResult:
        """Call a tool by the name it is offered under."""
        if self._routes is None:
            await self.list()
        found = (self._routes or {}).get(name)
        if found is None:
            return failed(call_id, name, self._unknown(name))
        member, tool = found
        try:
            result = await member.call(tool.name, arguments, call_id=call_id, meta=meta, progress=progress)
        except Exception as error:  # nor should this
            return failed(call_id, name, text.cut(f"{name} failed: {type(error).__name__}: {error}", 2048))
        if result.name != name or result.id != call_id:
            result = type(result)(call_id, name, result.parts, result.is_error)
        return await fit(result, self._overflow, self._most)

    def _unknown(self, name: str) -> str:
        known = list(self._routes or {})
        close = nearest(name, known, most=3)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        if not hint and len(known) <= 20:
            hint = f" There are: {', '.join(known) or 'none'}."
        missing = [server for server in self.errors if name.startswith(f"{_plain(server)}{SEPARATOR}"[:_MARKED_FROM])]
        if missing:
            hint = f" {self.errors[max(missing, key=len)]}"  # `a__b` may be a server as well as `a`
        return f"There is no tool {text.line(name, 100)!r}.{hint}"


def offered(prefix: str, name: str) -> str:
    """The name under which a member's tool is offered."""
    start = _plain(prefix)
    plain = _ODD.sub("_", name)
    whole = f"{start}{SEPARATOR}{plain}" if start else plain
    if plain != name or not plain or len(whole) > MOST_NAME:
        return _marked(whole, f"{prefix}\0{name}")
    return whole


def _plain(prefix: str) -> str:
    start = _ODD.sub("_", prefix)
    # Some vendors want a letter first.
    return start if not start or start[0].isalpha() or start[0] == "_" else f"_{start}"


def _marked(name: str, real: str) -> str:
    mark = hashlib.sha256(real.encode("utf-8", "replace")).hexdigest()[:6]
    return f"{name[:_MARKED_FROM]}_{mark}"
