"""A configuration on an empty home."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_llm import config as configuration

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.config import Config


@pytest.fixture
def config(home: Path) -> Config:
    return configuration.load(overrides={"discover": False})


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """The two protocol eras."""
    return str(request.param)
