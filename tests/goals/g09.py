"""Growth of resident memory by any one hostile peer: a child MCP server, or a provider whose reply does not end.

The peak while it is dealt with above what was resident before, with the bodies of hundreds of MiB that they send.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from faults.asking import Asking, ask
from faults.server import FaultServer
from goals.children import children
from goals.figure import Figure
from llm.test_faults_reply import TOO_MUCH
from toolsets import hostile

from mcp_llm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.server import Reply

MOST = 64.0
PATIENCE = {"connect": 2, "first_byte": 5, "idle": 5, "total": 60}


def measure(full: bool) -> Iterator[Figure]:
    """The worst child and the worst provider."""
    worst = max(children(full), key=lambda child: child.growth)
    yield Figure("growth by a child", worst.growth, "MiB", MOST, note=worst.name)
    grown = {name: anyio.run(provider, reply) for name, reply, _ in TOO_MUCH}
    name = max(grown, key=lambda one: grown[one])
    yield Figure("growth by a provider", grown[name], "MiB", MOST, note=name)


async def provider(reply: Reply) -> float:
    """MiB that one question to it costs; it has to end in an error."""
    with tempfile.TemporaryDirectory() as folder, FaultServer([reply]) as server:
        asking = Asking(Path(folder))
        model = asking.provider("acme", server.url)
        async with asking.open(timeouts=PATIENCE) as service, hostile.measured() as cost:
            with pytest.raises(Error):
                await ask(service, model)
    return cost.growth / hostile.MIB
