"""A boundary around a step of Python: what the step may use, what comes of it, and what every way to run it can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Limits:
    """What one step may use: wall-clock seconds, bytes of memory, bytes of each output."""

    seconds: float
    memory: int
    output: int


@dataclass(slots=True)
class Ran:
    """What came of the code. `error` says why it failed, None where it did not; `line` is the code's line."""

    result: Any
    stdout: str
    stderr: str
    exit_code: int | None
    seconds: float
    error: str | None = None
    line: int | None = None


class Boundary(Protocol):
    """One way to run code apart from everything else."""

    name: str

    async def run(self, code: str, inputs: dict[str, Any], limits: Limits) -> Ran:
        """Run it. Raises Denied where it cannot be run apart."""

    async def probe(self) -> str | None:
        """Why it does not hold here; None where all was tried and held."""
