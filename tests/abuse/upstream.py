"""A line about a provider, played: its script as replies of the fault server, and one call made through the whole app.

Behind the scripted provider `acme` stands a sound one, `backup`, where the call may go on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from abuse.corpus import case, expand
from faults.asking import CANARY, ask, failing, rows
from faults.replies import MIB, bomb, ok
from faults.server import FaultServer, Reply

from mcp_llm.llm.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faults.asking import Asking

    from mcp_llm.errors import Error
    from mcp_llm.types.result import Generated

__all__ = ["OK", "TWO", "Played", "Told", "play", "replies", "script"]

OK = ok("openai", stream=True)
TWO: dict[str, Any] = {"default": "acme:m", "fallbacks": ["backup:m"]}


def script(name: str) -> list[Reply]:
    """The replies that a line's `fault.script` stands for."""
    return [reply(step) for step in case(name).fault["script"]]


def replies(name: str) -> list[Reply]:
    """The same, without the good ones: the fault that goes on."""
    return [reply(step) for step in case(name).fault["script"] if not step.get("ok")]


def reply(step: dict[str, Any]) -> Reply:
    """One step of a script."""
    headers = {"content-type": "application/json", **step.get("headers", {})}
    if raw := step.get("headers_raw"):
        assert raw == "x-0..x-4999: 1 kB each"
        headers |= {f"x-{number}": "y" * 1000 for number in range(5000)}
    if step.get("ok"):
        return Reply(headers=headers, body=ok("openai").body) if "headers" in step else OK
    body = expand(step.get("body", b""))
    if body in {"gzip bomb 0.5 MiB -> 500 MiB", "double bomb"}:
        body = bomb(500)
    elif isinstance(body, str):
        body = body.replace("$KEY", CANARY).encode()
    if "json" in step:
        body = json.dumps(step["json"]).encode()
    if "content-length" in headers:  # it lies: what it promises never comes
        length = int(headers["content-length"])
        if length > 64 * MIB:
            return Reply(step["status"], headers, body, framing="none", hang=len(body))
        return Reply(step["status"], headers, body, framing="none", close=True)
    return Reply(step["status"], headers, body)


@dataclass(slots=True)
class Told(Progress):
    """Everything that a waiting caller was told."""

    notes: list[str] = field(default_factory=list)

    def tell(self, note: str) -> None:
        Progress.tell(self, note)
        self.notes.append(note)


@dataclass
class Played:
    """What came of a call: its answer or its error, the requests that each provider got, the ledger, the waits."""

    answer: Generated | None
    error: Error | None
    requests: int
    backup: int
    rows: list[tuple[str, str]]
    waits: list[float]

    def failed(self, kind: type[Error]) -> Any:
        """The error, which is of that kind and no more special one."""
        assert isinstance(self.error, kind), self.error
        assert self.error.kind == kind.kind
        return self.error

    def succeeded(self) -> Generated:
        """The answer."""
        assert self.answer is not None
        return self.answer


async def play(
    asking: Asking,
    said: Sequence[Reply],
    *,
    fails: bool = False,
    backup: bool = False,
    extra: str = "",
    server: dict[str, Any] | None = None,
    **settings: Any,
) -> Played:
    """Make one call of the provider that says this, the last of it again and again, and of the sound one if need be."""
    asking.waits.clear()
    with FaultServer(scripts={"acme": said, "backup": [OK]}, **(server or {})) as fault:
        model = asking.provider("acme", f"{fault.url}/acme", extra)
        asking.provider("backup", f"{fault.url}/backup")
        async with asking.open(**(TWO if backup else {}), **settings) as service:
            before = len(await rows(service))
            asked = None if backup else model
            error = await failing(service, asked) if fails else None
            answer = None if fails else await ask(service, asked)
            found = (await rows(service))[before:]
    assert len(fault.requests) == fault.count("acme") + fault.count("backup")
    return Played(answer, error, fault.count("acme"), fault.count("backup"), found, list(asking.waits))
