"""What tasks can call: the table of built-in methods, servers' tools, and the objects that the process has registered.

A new built-in method is one line in METHODS. What stands above this layer (agents) is handed in by the Host.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio

from mcp_llm.errors import InvalidInput, ToolFailed
from mcp_llm.toolsets import protocol
from mcp_llm.toolsets.check import parse
from mcp_llm.types.message import Media
from mcp_llm.types.result import Generated

from . import asking, python
from .inputs import near
from .making import EMBEDDED, GIVES, making
from .method import Done, Method
from .parameters import Compare, Embed, Generate, Image, Python, Speech, Transcribe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from mcp_llm.llm.service import Service
    from mcp_llm.toolsets.base import Tool, Toolset

    from .method import Call, Host

ANSWER: Final = frozenset(Generated.model_fields) | protocol.REPLY
COMPARED: Final = frozenset(
    ("response", "results", "models", "verdict", "pairs", "agreement", "judging", "frontier", "quote", "quoted")
) | frozenset(("cost", "latency_ms", "run_id", "warnings"))

SPOKEN: Final = GIVES | {"duration"}
HEARD: Final = GIVES | {"language", "duration", "segments", "words"}

METHODS: Final[dict[str, Method]] = {
    "llm/generate": Method(asking.generate, Generate, ANSWER, repeatable=True, estimate=asking.estimate),
    "llm/chat": Method(asking.generate, Generate, ANSWER, repeatable=True, estimate=asking.estimate),
    "llm/compare": Method(asking.compare, Compare, COMPARED, repeatable=True),
    "llm/embed": Method(making("embed", "embed", "embed", "input"), Embed, EMBEDDED, repeatable=True),
    "llm/image": Method(making("image", "image", "generate_image", "prompt"), Image, GIVES, repeatable=True),
    "llm/speech": Method(making("speech", "speech", "speak", "text"), Speech, SPOKEN, repeatable=True),
    "llm/transcribe": Method(
        making("transcribe", "transcribe", "transcribe", "file"), Transcribe, HEARD, repeatable=True
    ),
    "python/execute": Method(python.execute, Python, python.GIVES, repeatable=True),
}
SERVER: Final = "mcp/"


class Offer:
    """What one process offers to workflows. `find` gives a method by name; servers' tools only once they are open."""

    def __init__(
        self,
        service: Service,
        more: Mapping[str, Method],
        servers: Mapping[str, Mapping[str, tuple[Toolset, Tool]]] | None = None,
        errors: Mapping[str, str] | None = None,
    ) -> None:
        self._service = service
        self._known = {**METHODS, **more}
        self._servers = servers
        self._errors = errors or {}

    def find(self, name: str) -> Method:
        """The method. Raises InvalidInput with what there is instead, or why it is not offered."""
        if name == "python/execute" and not self._service.config.settings.python.enabled:
            raise InvalidInput(
                "`python/execute` is off: it runs code, so only the user's own config file may turn it on "
                "([python] enabled = true)"
            )
        if (method := self._known.get(name)) is not None:
            return method
        if name.startswith(SERVER):
            return self._tool(name)
        if (method := self._object(name)) is not None:
            return method
        objects, failed = self._objects()
        hint = near(name, [*self._known, *objects], "method")
        told = "".join(f" {failure}" for failure in failed)
        raise InvalidInput(f"{hint}{'' if hint.endswith('?') else '.'} Tools of servers are mcp/<server>.<tool>.{told}")

    def _tool(self, name: str) -> Method:
        server, _, tool = name.removeprefix(SERVER).partition(".")
        configured = self._service.config.settings.servers
        if not server or not tool:
            raise InvalidInput(f"`{name[:80]}`: a server's tool is named mcp/<server>.<tool>")
        if server not in configured or configured[server].disabled:
            known = [one for one, settings in configured.items() if not settings.disabled]
            raise InvalidInput(f"{near(server, known, 'server')}; servers are configured under [servers]")
        if self._servers is None:
            return Method(_closed)
        if server in self._errors:
            raise InvalidInput(self._errors[server])
        found = self._servers.get(server, {}).get(tool)
        if found is None:
            raise InvalidInput(near(tool, list(self._servers.get(server, {})), f"tool of {server}"))
        toolset, listed = found
        return Method(_calling(toolset, listed), listed.spec.parameters, repeatable=listed.repeatable, tool=listed)

    def _objects(self) -> tuple[dict[str, tuple[str, Any, str]], list[str]]:
        """Method -> (its provider's name, the provider, the method as that calls it), and why some offer none."""
        found: dict[str, tuple[str, Any, str]] = {}
        failed: list[str] = []
        for owner, provider in self._service.backends.speakers().items():
            try:
                methods = protocol.methods(provider)
            except ToolFailed as failure:
                failed.append(f"The provider {owner!r} offers no methods: {failure}.")
                continue
            for method in methods:
                found[f"{owner}/{method.rpartition('/')[2]}"] = (owner, provider, method)
                found.setdefault(f"{owner}/{method}", (owner, provider, method))
                found.setdefault(method, (owner, provider, method))
        return found, failed

    def _object(self, name: str) -> Method | None:
        if (found := self._objects()[0].get(name)) is None:
            return None
        owner, provider, method = found
        said = protocol.described(provider, method)
        parameters = said.get("parameters")
        safe = said.get("read_only") is True or said.get("idempotent") is True
        takes = parameters if isinstance(parameters, dict) else None
        return Method(_requesting(owner, provider, method), takes, repeatable=safe, bound=True)


@asynccontextmanager
async def offered(host: Host, names: Iterable[str]) -> AsyncIterator[Offer]:
    """What there is for a workflow that calls these methods: their servers are opened, and closed at the end.

    Enter and leave it in one task.
    """
    settings = host.service.config.settings
    wanted = {name.removeprefix(SERVER).partition(".")[0] for name in names if name.startswith(SERVER)}
    wanted = {name for name in wanted if name in settings.servers}
    if not wanted:
        yield Offer(host.service, host.methods)
        return
    from mcp_llm.toolsets.connect import open_servers  # an MCP client is loaded where there is a server
    from mcp_llm.toolsets.pins import StoredPins

    pins = StoredPins(host.service.runs.store)
    async with open_servers(
        sorted(wanted),
        settings.servers,
        host.service.config.variable,
        pinned=pins,
        ca_file=settings.ca_file,
        signed_in=host.service.config.signed_in,
        redactor=host.service.config.redactor,
    ) as group:
        servers: dict[str, dict[str, tuple[Toolset, Tool]]] = {}

        async def ask(name: str, member: Toolset) -> None:
            servers[name] = {tool.name: (member, tool) for tool in await member.list()}

        async with anyio.create_task_group() as tasks:
            for name, member in group.members.items():
                tasks.start_soon(ask, name, member)
        yield Offer(host.service, host.methods, servers, group.errors)


async def _closed(_: Call) -> Done:
    raise ToolFailed("its server is not open")


def _calling(toolset: Toolset, tool: Tool) -> Callable[[Call], Any]:
    async def call(call: Call) -> Done:
        given = await toolset.call(tool.name, call.parameters, call_id=call.task_id, progress=call.host.tell)
        if given.is_error:
            raise ToolFailed(given.text[:4000] or f"{tool.name} failed without saying why")
        found: dict[str, Any] = {"response": given.text, "parsed": _parsed(given.text)}
        media = [{"mime": part.mime, "data": part.data} for part in given.parts if isinstance(part, Media)]
        return Done(found | ({"media": media} if media else {}))

    return call


def _parsed(text: str) -> Any:
    """The JSON object in a tool's words, None where they are none."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return parse(text)
    except ToolFailed:
        return None


def _requesting(owner: str, provider: Any, method: str) -> Callable[[Call], Any]:
    async def call(call: Call) -> Done:
        service = call.host.service
        await service.backends.ready(owner)
        answer = await protocol.request(provider, method, call.parameters, attach=service.attachments, name=owner)
        return Done(answer)

    return call
