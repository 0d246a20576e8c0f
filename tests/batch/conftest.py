"""A provider on the fault server, in a process of its own memory: see `faults.asking`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faults.asking import Asking

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def asking(home: Path) -> Asking:
    return Asking(home)
