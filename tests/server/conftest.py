"""A server in memory on an empty home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from server.slowly import Slow

from mcp_llm import config as configuration
from mcp_llm.server.build import build
from mcp_llm.server.life import Heart

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.config import Config
    from mcp_llm.llm.service import Service


@pytest.fixture
def config(home: Path) -> Config:
    return configuration.load(overrides={"discover": False})


@pytest.fixture
def opened() -> list[Service]:
    """The services that the server has open."""
    return []


@pytest.fixture
def server(config: Config, opened: list[Service]) -> Any:
    return build(config, opened, Heart(first=0.01, beat=0.01))


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> Any:
    """The two protocol eras."""
    return request.param


@pytest.fixture
async def slow(opened: list[Any]) -> Slow:
    return Slow()
