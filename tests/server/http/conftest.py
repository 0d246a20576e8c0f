"""A server with the demo: in this process where its limits are to be short, else as a process of its own."""

from __future__ import annotations

from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from server.http.talking import launched, serving

from mcp_llm import config as configuration
from mcp_llm.server import build as building
from mcp_llm.server.http.app import build

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from server.http.talking import Served


@pytest.fixture
def served(home: Path) -> Any:
    """Starts ours with the demo and settings as given."""

    @asynccontextmanager
    async def start(
        limits: dict[str, Any] | None = None, grace: float = 0.2, tools: Sequence[Any] = (), **settings: Any
    ) -> AsyncIterator[Served]:
        config = configuration.load(overrides={"discover": False, **settings})
        opened: list[Any] = []
        server = building.build(config, opened)
        for tool in tools:
            server.add_tool(tool)
        async with serving(build(config, server, opened, grace=grace), opened, **(limits or {})) as found:
            yield found

    return start


@pytest.fixture
def process(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Any, int]]]:
    """`process("--allow-host", ...)` -> (Popen, port): `mcp-llm serve --http` as a shell starts it."""
    monkeypatch.setenv("MCP_LLM_DISCOVER", "0")
    with ExitStack() as started:

        def start(*flags: str, config: str = "") -> tuple[Any, int]:
            if config:
                (home / "mcp_llm.toml").write_text(config)
            return started.enter_context(launched(*flags))

        yield start
