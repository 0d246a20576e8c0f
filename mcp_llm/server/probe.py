"""The server started as a host starts it, and every line of its stdout looked at: for `doctor`.

No client of any SDK stands between: what is no protocol message is seen, and counted, before it can confuse a host.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from subprocess import DEVNULL
from typing import TYPE_CHECKING, Any, Final, Literal

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from mcp_llm import __version__
from mcp_llm.errors import ToolFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

PATIENCE: Final = 30.0
"""Seconds for a server to come up and list its tools."""
LEAVE: Final = 5.0
MOST_LINE: Final = 16 * 1024 * 1024
MOST_NOISE: Final = 5

Era = Literal["handshake", "stateless"]
INFO: Final = {"name": "mcp-llm-doctor", "version": __version__}


@dataclass(slots=True)
class Probed:
    """One start: `ready_ms` until the tools were listed, `noise` the first lines of stdout that were no protocol."""

    era: Era
    version: str
    tools: int
    ready_ms: int
    noise: list[str]
    code: int | None


async def probe(command: Sequence[str], environment: Mapping[str, str], era: Era) -> Probed:
    """Start the server with this environment alone, list its tools, let it go. Raises ToolFailed when it does not."""
    started = time.monotonic()
    noise: list[str] = []
    try:
        process = await anyio.open_process(list(command), env=dict(environment), stderr=DEVNULL)
    except OSError as exc:
        raise ToolFailed(f"{command[0]} cannot be started: {exc.strerror}") from None
    try:
        with anyio.fail_after(PATIENCE):
            assert process.stdin is not None
            assert process.stdout is not None
            answers = _answers(BufferedByteReceiveStream(process.stdout), noise)
            version = LATEST_HANDSHAKE_VERSION if era == "handshake" else LATEST_MODERN_VERSION
            for message in _opening(era):
                await process.stdin.send(json.dumps(message).encode() + b"\n")
                if message.get("id") == 0:
                    version = _version(await anext(answers, None), era)
            listed = _result(await anext(answers, None))
            ready = round((time.monotonic() - started) * 1000)
            await process.stdin.aclose()
            with anyio.move_on_after(LEAVE):
                async for _ in answers:
                    pass
                await process.wait()
    except TimeoutError:
        raise ToolFailed(f"the server did not list its tools within {PATIENCE:.0f} s") from None
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        raise ToolFailed("the server went away before it had listed its tools") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        with anyio.CancelScope(shield=True), anyio.move_on_after(LEAVE):
            await process.aclose()
    return Probed(era, version, len(listed.get("tools", ())), ready, noise, process.returncode)


def _opening(era: Era) -> list[dict[str, Any]]:
    """What a host of this era says until it has the tools; the answer to 0 names the version."""
    if era == "handshake":
        hello = {"protocolVersion": LATEST_HANDSHAKE_VERSION, "capabilities": {}, "clientInfo": INFO}
        return [
            {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}},
        ]
    prefix = "io.modelcontextprotocol/"
    meta = {
        f"{prefix}protocolVersion": LATEST_MODERN_VERSION,
        f"{prefix}clientCapabilities": {},
        f"{prefix}clientInfo": INFO,
    }
    return [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": {"_meta": meta}}
        for number, method in enumerate(("server/discover", "tools/list"))
    ]


async def _answers(lines: BufferedByteReceiveStream, noise: list[str]) -> AsyncIterator[dict[str, Any]]:
    """The messages that answer; other protocol messages pass, anything else is noise."""
    while True:
        try:
            line = await lines.receive_until(b"\n", MOST_LINE)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError):
            return
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            if len(noise) < MOST_NOISE:
                noise.append(line[:200].decode("utf-8", "replace"))
        elif "id" in message and "method" not in message:
            yield message


def _result(message: dict[str, Any] | None) -> dict[str, Any]:
    if message is None:
        raise ToolFailed("the server ended before it had listed its tools")
    if "error" in message:
        raise ToolFailed(f"the server refused: {str(message['error'].get('message'))[:300]}")
    return dict(message["result"])


def _version(message: dict[str, Any] | None, era: Era) -> str:
    result = _result(message)
    if era == "handshake":
        return str(result["protocolVersion"])
    return str(max(result["supportedVersions"]))
