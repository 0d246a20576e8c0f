"""Which tools a run has: its servers', its delegates, the caller's functions; fixed when it starts.

Nothing that a model reads or says later adds a tool: what is not in the list cannot be called.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput
from mcp_llm.llm import parameters
from mcp_llm.toolsets.base import Tool, Tools, Toolset, failed
from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import Text, ToolResult
from mcp_llm.types.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from mcp_llm.runs.store import RunStore
    from mcp_llm.settings import Settings

MOST_NOTES: Final = 5
"""Sentences about one server's tools."""
SHARE: Final = 4
"""Tool definitions may take one part in so many of the model's window."""
PAGE: Final = 20_000
MOST_BYTES: Final = (16 * 1024, 96 * 1024, 256 * 1024)
"""Of one result: at least, where the window is unknown, at most; else an eighth of the window."""


READ_MORE: Final = Tool(
    spec=ToolSpec(
        name="read_more",
        description="Read on where a tool's result was cut: the handle is given there.",
        parameters={
            "type": "object",
            "properties": {"handle": {"type": "string"}, "offset": {"type": "integer", "default": 0}},
            "required": ["handle"],
            "additionalProperties": False,
        },
    ),
    read_only=True,
)


class Joined:
    """Several toolsets under their own names; the first that has a name keeps it."""

    def __init__(self, members: Sequence[Toolset]) -> None:
        self._members = members
        self._home: dict[str, Toolset] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of them, in sentences for the user."""
        return tuple(sentence for member in self._members for sentence in getattr(member, "notes", ()))

    async def list(self) -> Tools:
        """All tools."""
        found: Tools = []
        for member in self._members:
            for tool in await member.list():
                if self._home.setdefault(tool.name, member) is member:
                    found.append(tool)
        return found

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        call_id: str = "",
        meta: dict[str, Any] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> ToolResult:
        """Call a tool of whichever has it."""
        if (home := self._home.get(name)) is None:
            return failed(call_id, name, f"There is no tool {name!r}.")
        return await home.call(name, arguments, call_id=call_id, meta=meta, progress=progress)


def servers(named: Collection[str] | None, fence: Collection[str] | None, settings: Settings) -> list[str]:
    """The servers of a run: those named, else the usual ones; none beyond the fence. Raises InvalidInput."""
    configured = [name for name, server in settings.servers.items() if not server.disabled]
    if named is None:
        globs = settings.agents.servers
        return [
            name
            for name in configured
            if any(fnmatchcase(name, glob) for glob in globs) and (fence is None or name in fence)
        ]
    for name in named:
        if name not in settings.servers:
            close = nearest(name, settings.servers)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(settings.servers) or 'none'}."
            raise InvalidInput(
                f"no server is configured as {name[:80]!r}; {hint} Servers are given by name and configured under "
                "[servers] in the config file."
            )
    beyond = [name for name in named if fence is not None and name not in fence]
    if beyond:
        # What stands in a delegate's own file is cut to what its callers have.
        return [name for name in dict.fromkeys(named) if name not in beyond]
    return list(dict.fromkeys(named))


def allowed(tools: Iterable[Tool], fences: Iterable[Collection[str]]) -> list[Tool]:
    """The tools that every list of globs lets through; a glob without `__` means a tool's name on any server.

    Our own (delegates, functions, what reads long results) are not a server's and always there.
    """
    lists = [*fences]
    return [tool for tool in tools if tool.server is None or all(_passes(tool.name, globs) for globs in lists)]


def unmatched(tools: Sequence[Tool], globs: Iterable[str]) -> str | None:
    """A sentence about what a caller named and no server has, lest a typing error take every tool in silence."""
    names = [tool.name for tool in tools if tool.server is not None]
    missing = [glob for glob in globs if not any(_passes(name, [glob]) for name in names)]
    if not missing:
        return None
    told = ", ".join(repr(glob[:80]) for glob in missing[:5]) + (" ..." if len(missing) > 5 else "")
    there = ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
    return f"`tools` names {told}, which no server of this run has; there are {there or 'none'}"


def _passes(name: str, globs: Collection[str]) -> bool:
    bare = name.partition("__")[2] or name
    return any(fnmatchcase(name if "__" in glob else bare, glob) for glob in globs)


def fitting(tools: Sequence[Tool], context: int | None) -> tuple[list[Tool], str | None]:
    """As many tools as fit into their part of the window, ours first, and a sentence about those left out."""
    if context is None:
        return [*tools], None
    kept: list[Tool] = []
    size = 0
    for tool in sorted(tools, key=lambda tool: tool.server is not None):
        size += parameters.estimate_tokens(ChatRequest(messages=(), tools=(tool.spec,)))
        if size * SHARE > context and tool.server is not None:
            continue
        kept.append(tool)
    names = {tool.name for tool in kept}
    left_out = [tool.name for tool in tools if tool.name not in names]
    if not left_out:
        return [*tools], None
    told = ", ".join(left_out[:10]) + (" ..." if len(left_out) > 10 else "")
    return (
        [tool for tool in tools if tool.name in names],
        f"{len(left_out)} tools were left out, they would fill the window: {told}. Name what is needed in `tools`.",
    )


def noted(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """What was left out of tools and why, for whoever reads the result: a few sentences of each server, all of ours."""
    found: list[str] = []
    for server, sentences in notes.items():
        shown = sentences[:MOST_NOTES] if server and len(sentences) > MOST_NOTES + 1 else sentences
        found += [f"{server}: {sentence}" if server else sentence for sentence in shown]
        if len(shown) < len(sentences):
            more = len(sentences) - len(shown)
            found.append(f"{server}: {more} more such notes; `mcp-llm servers check {server}` shows them")
    return found


def most_bytes(context: int | None) -> int:
    """Of one tool result, for a model with this window."""
    low, usual, high = MOST_BYTES
    return usual if context is None else max(low, min(high, context // 2))


@dataclass(slots=True)
class Reader:
    """The tool that reads on where a result was cut; only what these runs kept.

    Its definition is written out: making it of a function would cost every run more than a millisecond.
    """

    runs: RunStore
    principal: str
    run_ids: Collection[str]

    async def list(self) -> Tools:
        """The one tool."""
        return [READ_MORE]

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        call_id: str = "",
        meta: dict[str, Any] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> ToolResult:
        """A page of the text."""
        handle = str(arguments.get("handle", ""))
        if handle.partition(".")[0] not in self.run_ids:
            return failed(call_id, name, f"there is no text {handle[:80]!r} in this run")
        try:
            page = await self.runs.read_text(handle, self.principal, int(arguments.get("offset") or 0), PAGE)
        except InvalidInput as wrong:
            return failed(call_id, name, str(wrong))
        more = f"\n[{page.total - page.end:,} more characters: offset={page.end}]" if page.more else ""
        return ToolResult(call_id, name, (Text(f"{page.text}{more}"),))


def by_name(tools: Iterable[Tool]) -> Mapping[str, Tool]:
    """Tools by the name they are offered under."""
    return {tool.name: tool for tool in tools}
