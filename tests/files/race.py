"""Reads beneath a root while another process swaps what is on the way; shared by the test and the goal.

`python race.py ROOT` is the other process: it makes every change that an attacker with rights in the root can make, as
fast as it can, until its stdin ends. What lies outside says ESCAPED, what lies inside says inside.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import Denied, InvalidInput
from mcp_llm.files import beneath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS: Final = {
    "a folder becomes a link": "folder/f",
    "a file becomes a link": "file",
    "a link points elsewhere": "link/f",
    "a folder of the way is moved out": "up",
}
"""What is swapped -> the path that is read meanwhile."""


def make(root: Path) -> None:
    """The root, and what lies beside it."""
    for folder, says in (
        (root / "folder", "inside"),
        (root / "good", "inside"),
        (root / "deep" / "down", "inside"),
        (root.parent / "elsewhere", "ESCAPED"),
        (root.parent / "elsewhere" / "down", "ESCAPED"),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "f").write_text(says)
    (root / "deep" / "f").write_text("inside")
    (root / "file").write_text("inside")
    (root / "evil").symlink_to("../elsewhere")
    (root / "evil-file").symlink_to("../elsewhere/f")
    (root / "link").symlink_to("good")
    # `..` after a folder that is moved out of the root is a folder outside of it.
    (root / "up").symlink_to("deep/down/../f")


def swap(root: Path, stopped: Callable[[], bool]) -> None:
    """Change everything again and again."""
    outside = root.parent / "elsewhere"
    while not stopped():
        with suppress(OSError):
            for one, two in (("folder", "evil"), ("file", "evil-file")):
                # Now it is the link, now the real one.
                for now, then in ((one, f"{one}.kept"), (two, one), (one, two), (f"{one}.kept", one)):
                    (root / now).rename(root / then)
            for target in ("../elsewhere", "good"):
                (root / "link.new").symlink_to(target)
                (root / "link.new").replace(root / "link")
            (root / "deep" / "down").rename(outside / "taken")
            (outside / "taken").rename(root / "deep" / "down")


@contextmanager
def swapping(root: Path) -> Iterator[None]:
    """Another process is at it meanwhile."""
    with subprocess.Popen([sys.executable, __file__, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.read(1)  # it has begun
        try:
            yield
        finally:
            other.stdin.close()


def ours(path: str, root: str) -> bytes:
    """The product's way."""
    return beneath.read(path, [root], 100)[0]


def walked(path: str, root: str) -> bytes:
    """The product's way where the kernel has no openat2: from folder to folder."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        descriptor = beneath._walk(folder, path)
    except OSError as error:
        raise beneath._explain(error) from None
    finally:
        os.close(folder)
    try:
        return beneath._read(descriptor, 100)
    finally:
        os.close(descriptor)


def checked_first(path: str, root: str) -> bytes:
    """What others do: resolve, compare, open. It is here to show that the race is one."""
    try:
        real = os.path.realpath(os.path.join(root, path))
        if os.path.commonpath([real, root]) != root:
            raise Denied("outside")
        with open(real, "rb") as file:
            return file.read(100)
    except OSError:
        raise InvalidInput("gone") from None


def readings(root: Path, path: str, times: int, read: Callable[[str, str], bytes] = ours) -> Counter[str]:
    """What so many reads gave: `inside`, `ESCAPED`, or the word of the error."""
    seen: Counter[str] = Counter()
    for _ in range(times):
        try:
            seen[read(path, str(root)).decode()] += 1
        except (Denied, InvalidInput) as error:
            seen[error.kind] += 1
    return seen


if __name__ == "__main__":
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    sys.stdout.write("!")
    sys.stdout.flush()
    swap(Path(sys.argv[1]), ended.is_set)
