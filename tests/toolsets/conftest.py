"""Servers that misbehave, and the processes they leave behind."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from toolsets import hostile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_llm.settings import Server


@pytest.fixture
def meter() -> Callable[[], Any]:
    return hostile.measured


@pytest.fixture
def child() -> Callable[..., Server]:
    return hostile.stdio


@pytest.fixture
def opened() -> Callable[..., Any]:
    return hostile.opened


@pytest.fixture
def web() -> Iterator[Callable[..., Server]]:
    """The child in a mode over HTTP; all are ended with the test."""
    with ExitStack() as running:
        yield lambda mode, *arguments, **fields: running.enter_context(hostile.web(mode, *arguments, **fields))


@contextmanager
def descendants() -> Iterator[Callable[[], set[int]]]:
    """The processes that appeared since and are still alive, wherever they have gone."""
    before = _running()
    yield lambda: _running() - before


def _running() -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if state != "Z" and str(hostile.CHILD).encode() in words:
            found.add(int(entry.name))
    return found


@pytest.fixture
def children() -> Iterator[Callable[[], set[int]]]:
    with descendants() as alive:
        yield alive
