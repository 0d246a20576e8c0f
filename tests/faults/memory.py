"""What a reply cost in memory: the peak of this process since a mark. Reads Linux's /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

needs_linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's /proc")


def peak_since(mark: bool = False) -> float:
    """The peak of resident memory in MiB since it was last marked."""
    if mark:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
