"""What a tool and a toolset are: the one contract that functions, MCP servers, delegates and groups of them satisfy."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from mcp_llm.types.message import Text, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp_llm.settings import Approval
    from mcp_llm.types.chat import ToolSpec


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as it is offered. The four hints are the server's own words about it; None is: it did not say.

    `server` is the configured name it comes from, None for our own; `fingerprint` a sha256 over all that a model or a
    person is shown of it; `approval` what the user's settings say, None where they say nothing.
    """

    spec: ToolSpec
    server: str | None = None
    title: str | None = None
    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None
    fingerprint: str = ""
    approval: Approval | None = None

    @property
    def name(self) -> str:
        """The name to call it by."""
        return self.spec.name

    @property
    def repeatable(self) -> bool:
        """Whether a call whose answer was lost may be made again."""
        return self.read_only is True or self.idempotent is True

    @property
    def policy(self) -> Approval:
        """What the user decided, else: our own and read-only tools run, what may destroy asks first.

        A server's tool that says nothing of itself may destroy, as the specification reads its absence.
        """
        if self.approval is not None:
            return self.approval
        if self.server is None:
            return "ask" if self.destructive else "allow"
        return "allow" if self.read_only or self.destructive is False else "ask"

    @property
    def said(self) -> str:
        """What it says of itself, as text for a person to compare: all that `fingerprint` covers."""
        hints = {"read_only": self.read_only, "destructive": self.destructive}
        hints |= {"idempotent": self.idempotent, "open_world": self.open_world}
        lines = [f"title: {self.title}"] if self.title is not None else []
        lines += [f"{name}: {'yes' if value else 'no'}" for name, value in hints.items() if value is not None]
        schema = json.dumps(self.spec.parameters, indent=1, sort_keys=True, ensure_ascii=False)
        return "\n".join([*lines, "description:", self.spec.description, "parameters:", schema])

    def named(self, name: str) -> Tool:
        """The same tool under another name."""
        return replace(self, spec=self.spec.model_copy(update={"name": name}))


Tools: TypeAlias = list[Tool]
"""Inside a class with a method `list` the built-in's name is taken."""


class Toolset(Protocol):
    """A set of tools. Both methods may be called from any task, `call` many times at once."""

    async def list(self) -> Tools:
        """The tools on offer now, always in the same order. Empty when they cannot be had; never raises for that."""

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        call_id: str = "",
        meta: dict[str, Any] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> ToolResult:
        """Call a tool; whatever goes wrong is a result with `is_error`. Only cancellation is raised.

        `meta` travels to an MCP server as `_meta`; `progress` gets one line at a time, from the event loop's thread.
        """


def failed(call_id: str, name: str, message: str) -> ToolResult:
    """A result that tells the model what went wrong."""
    return ToolResult(call_id, name, (Text(message),), is_error=True)


def fingerprint(
    name: str, title: str | None, description: str, schema: Mapping[str, Any], hints: Mapping[str, bool | None]
) -> str:
    """A sha256 that changes with anything a model is told about a tool."""
    said = [name, title, description, schema, dict(hints)]
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
