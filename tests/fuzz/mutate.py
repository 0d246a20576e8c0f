"""Inputs made of samples: cut, doubled, spliced, sprinkled with words of the grammar. Seeded: the same every time.

What runs in the suite, and wherever there is no coverage-guided fuzzer.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .target import Target

MOST: Final = 2048
"""Bytes of an input."""


def inputs(target: Target, count: int, *, seed: int = 0) -> Iterator[bytes]:
    """The samples themselves, every beginning of the first, then so many made of them."""
    yield from target.samples
    first = target.samples[0]
    yield from (first[:end] for end in range(min(len(first), 200)))
    random = Random(f"{target.name} {seed}")
    pool = list(target.samples)
    for _ in range(count):
        made = random.choice(pool)
        for _ in range(random.choice((1, 1, 2, 3, 6))):
            made = _changed(made, target, random)[:MOST]
        if random.random() < 0.02:
            pool.append(made)  # some changes only matter upon others
        yield made


def _changed(data: bytes, target: Target, random: Random) -> bytes:
    at, to = sorted((random.randint(0, len(data)), random.randint(0, len(data))))
    kind = random.randrange(8)
    if kind == 0:
        return data[:at] + data[to:]
    if kind == 1:
        return data[:to] + data[at:]
    if kind == 2:
        return data[:at] + random.choice(target.samples)[random.randint(0, 20) :]
    if kind == 3:
        return data[:at] + random.randbytes(random.choice((1, 1, 2, 4))) + data[at:]
    if kind == 4 and data:
        at = min(at, len(data) - 1)
        return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
    if kind == 5 and to - at < 40:
        return data[:at] + data[at:to] * random.randint(2, 12) + data[to:]
    word = random.choice(target.words) if target.words else random.randbytes(1)
    return data[:at] + word + data[at if kind == 6 else to :]
