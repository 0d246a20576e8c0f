"""What is fuzzed: a reader of bytes that may never fail but in our own words, with samples and words to mutate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

FOUND: Final = Path(__file__).parent / "found"
"""Inputs that broke something once: `found/<target>/<what broke>`, as bytes."""
MODULES: Final = ("calls", "records", "replies", "schemes", "settings", "streams")


@dataclass(frozen=True, slots=True)
class Target:
    """`run(data)` returns for every input whatsoever; what it raises is a finding.

    `samples` are inputs worth changing, `words` what its grammar is made of. `grows` are repeats, each given as
    (head, repeated, tail), a `%d` in it being its number, on which it has to take time in proportion to their length.
    """

    name: str
    run: Callable[[bytes], object]
    samples: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    grows: tuple[tuple[bytes, bytes, bytes], ...] = ()
    bare: Callable[[bytes], object] | None = None
    """What of `run` is the product's own work, for those whose speed is a goal."""
    large: int = 100_000
    """Bytes of what has to take its time in proportion; more where a repeat is long."""
    quick: bool = True
    """False where an input goes through a file."""

    def grown(self, at: int, size: int) -> bytes:
        """So many bytes of one of `grows`."""
        head, repeated, tail = self.grows[at]
        count = size // len(repeated)
        many = b"".join(repeated % number for number in range(count)) if b"%d" in repeated else repeated * count
        return head + many + tail


def targets() -> dict[str, Target]:
    """All of them, by name."""
    found = [one for name in MODULES for one in import_module(f"fuzz.{name}").TARGETS]
    return {one.name: one for one in found}


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never really waits; no event loop is needed for it."""
    try:
        work.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    work.close()
    raise AssertionError("it waits for something")


def is_strict_json(value: object) -> bool:
    """Whether it can be written as JSON that everybody reads, as UTF-8."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False).encode() != b""
