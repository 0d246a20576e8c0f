"""What the system knows of a process: memory, files, threads, children, in numbers that can be compared. Linux only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MIB = 1024


@dataclass(frozen=True)
class Held:
    """What a process holds at a moment; `rss` and `peak` in MiB.

    `files` are all but connections to the database: the store keeps some for readers, as many as have read at once.
    """

    rss: float
    peak: float
    files: int
    sockets: int
    threads: int
    children: int


def held(pid: int) -> Held:
    """What it holds now. Raises FileNotFoundError once it is gone."""
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
    links = [_link(entry) for entry in (process / "fd").iterdir()]
    kids = [task.read_text().split() for task in process.glob("task/*/children")]
    return Held(
        rss=int(status["VmRSS"].split()[0]) / MIB,
        peak=int(status["VmHWM"].split()[0]) / MIB,
        files=sum("/state.db" not in link for link in links),
        sockets=sum(link.startswith("socket:") for link in links),
        threads=int(status["Threads"]),
        children=sum(map(len, kids)),
    )


def _link(entry: Path) -> str:
    try:
        return os.readlink(entry)
    except OSError:  # closed in between
        return ""


def slope(points: list[tuple[float, float]]) -> float:
    """The least-squares slope of (x, y)."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
