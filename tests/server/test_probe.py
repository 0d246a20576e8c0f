"""What `doctor` sees of a server that it starts as a host would: a real process, good or bad."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from mcp_llm.errors import ToolFailed
from mcp_llm.server.probe import Era, probe
from mcp_llm.toolsets.variables import child_environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

NOISY = (
    "print('Loading weights...', flush=True); from mcp_llm import cli; import sys; sys.argv = ['mcp-llm']; cli.main()"
)

REFUSING = """\
input(); print('{"jsonrpc": "2.0", "id": 0, "error": {"code": -1, "message": "no"}}', flush=True); input()"""


def bare(home: Path) -> dict[str, str]:
    return child_environment({"MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0"}, lambda _: None)


@pytest.mark.parametrize(
    ("era", "version"), [("handshake", LATEST_HANDSHAKE_VERSION), ("stateless", LATEST_MODERN_VERSION)]
)
async def test_our_server_comes_up_in_a_bare_environment_and_says_nothing_but_protocol(
    home: Path, era: Era, version: str
) -> None:
    seen = await probe([sys.executable, "-m", "mcp_llm"], bare(home), era)
    assert (seen.era, seen.version, seen.tools, seen.noise, seen.code) == (era, version, 5, [], 0)
    assert seen.ready_ms > 0


async def test_what_is_printed_before_the_protocol_is_seen(home: Path) -> None:
    seen = await probe([sys.executable, "-c", NOISY], bare(home), "handshake")
    assert (seen.tools, seen.noise) == (5, ["Loading weights..."])


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["/no/such/program"], "/no/such/program cannot be started: No such file or directory"),
        ([sys.executable, "-c", "import sys; sys.stdin.readline()"], "the server ended before it had listed its tools"),
        (
            [sys.executable, "-c", REFUSING],
            "the server refused: no",
        ),
    ],
)
async def test_a_server_that_does_not_come_up_says_why(home: Path, command: list[str], told: str) -> None:
    with pytest.raises(ToolFailed) as caught:
        await probe(command, bare(home), "handshake")
    assert str(caught.value) == told
