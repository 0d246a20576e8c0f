"""The whole path on scripted providers, for the tests of asking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faults.asking import Asking

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def asking(home: Path) -> Asking:
    """Providers in an empty home."""
    return Asking(home)
