"""Providers for a crowd: one that takes its time, two that fail now and then, and the settings that name them.

`python provider.py slow 3` is the first as a process of its own, so that it takes no time of the client's; it prints
its port and ends with its input; a further number makes its answer one word of so many characters. `faulty 0.05 7` is
the others, `/a`, `/b`.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faults.replies import SSE, ok, sse
from faults.server import FaultServer, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WORDS = "one two three four"
FAULTS = ("429", "500", "reset before", "reset after", "cut", "hang", "garbage")
_OPENING = sse([{"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}])


def slow(seconds: float, text: str = WORDS) -> Reply:
    """An answer whose second half takes its time; of no time at all it comes whole."""
    reply = ok("openai", stream=True, text=text)
    if not seconds:
        return reply
    half = len(reply.body) // 2 + 1
    return Reply(headers=reply.headers, body=reply.body, framing="chunked", piece=half, every=seconds)


def fault(kind: str) -> Reply:
    """A way to fail before the first word: after it, what came is told and nobody is asked again."""
    match kind:
        case "429":
            return Reply(status=429, headers={"retry-after": "0.1"}, body=b'{"error": {"message": "slow down"}}')
        case "500":
            return Reply(status=500, body=b'{"error": {"message": "oops"}}')
        case "reset before":
            return Reply(reset="headers")
        case "reset after":
            return Reply(headers=SSE, framing="chunked", body=_OPENING, reset=len(_OPENING))
        case "cut":
            return Reply(headers=SSE, framing="chunked", body=_OPENING)
        case "hang":
            return Reply(hang="headers")
        case "garbage":
            return Reply(headers=SSE, framing="chunked", body=b"data: {]\n\n<html>\x00\xff")
    raise ValueError(kind)


def faulty(share: float, seed: int, length: int = 10_007) -> list[Reply]:
    """Replies of which that share fails, the kinds in turn."""
    chance, good = random.Random(seed), ok("openai", stream=True, text=WORDS)
    bad = [fault(kind) for kind in FAULTS]
    return [chance.choice(bad) if chance.random() < share else good for _ in range(length)]


def provided(home: Path, url: str, names: Mapping[str, str], settings: str = "") -> None:
    """Settings in which each of these names is a provider at its path below the URL; its model is `name:m`."""
    (home / "mcp_llm.toml").write_text(settings)
    folder = home / "providers"
    folder.mkdir(exist_ok=True)
    for name, path in names.items():
        (folder / f"{name}.toml").write_text(
            f'base_url = "{url}/{path}"\nopen = true\n[auth]\nrequired = false\nenv = "{name.upper()}_API_KEY"\n'
            'headers = { Authorization = "Bearer {key}" }\n[wires]\nchat = "openai"\nembed = "openai"\n'
        )


def many_files() -> None:
    """As many open files as the system lets this process have: a crowd needs some thousand."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))


@contextmanager
def providing(*words: str) -> Iterator[str]:
    """The URL of a provider in a process of its own; the words are those of its command line."""
    child = subprocess.Popen(
        [sys.executable, __file__, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
    finally:
        child.communicate()


def main(kind: str, *words: str) -> None:
    many_files()
    if kind == "slow":
        server = FaultServer([slow(float(words[0]), "x" * int(words[1]) if words[1:] else WORDS)])
    else:
        share, seed = float(words[0]), int(words[1])
        server = FaultServer(scripts={"a": faulty(share, seed), "b": faulty(share, seed + 1)})
    with server:
        print(server.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
