"""A server that is told to end answers every call, writes down every run, closes every connection, and is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from load.ending import WAYS, Ended, end

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = {"stdio": 2.0, "http": 5.0}
"""Seconds by which the process is gone: it sees to that itself, by a timer."""


@pytest.mark.parametrize(("transport", "how"), WAYS, ids=" by ".join)
def test_sts_005_sts_006_every_call_under_way_is_told_and_every_run_written_down_before_the_process_is_gone(
    tmp_path: Path, transport: str, how: str
) -> None:
    ended = end(transport, how, 20, tmp_path)
    assert ended == Ended(seconds=ended.seconds, code=0, runs=20, left=0, open=0, untold=0)
    assert ended.seconds < LIMIT[transport]
