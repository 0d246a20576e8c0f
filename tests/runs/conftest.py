"""Runs on a real SQLite file; processes that can be killed are forked from one that has everything imported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from mcp_llm.runs.store import RunStore

from . import drivers as processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mcp_llm.store.sqlite import Store


@pytest.fixture
def runs(store: Store) -> RunStore:
    return RunStore(store)


class Soon(Protocol):
    """`await soon(look)`: what `look` gives as soon as it is true; fails after `seconds`."""

    async def __call__(self, look: Callable[[], Any], seconds: float = 20) -> Any: ...


@pytest.fixture
def soon() -> Soon:
    return processes.soon


@pytest.fixture
def drivers(tmp_path: Path) -> Iterator[processes.Drivers]:
    if not hasattr(os, "fork"):
        pytest.skip("processes cannot be forked here")
    with processes.forked(tmp_path) as started:
        yield started
