"""One process at a time writes a file. A lock beside it says so; it holds nothing and is gone afterwards."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mcp_llm.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock beside the file; the system lets go of it when the process dies, however it dies.

    Raises Conflict where another process holds it, InvalidInput where the folder takes no files.
    """
    lock = path.with_name(f".{path.name}.lock")
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            raise InvalidInput(f"there is no folder for {path.name}: make it first") from None
        except OSError as exc:
            raise InvalidInput(f"{path.name} cannot be written there ({exc.strerror}): give another file") from None
        try:
            if not _locked(descriptor):
                raise Conflict(f"another process is writing {path.name}: wait for it, or give another file")
            if not _same(descriptor, lock):  # whoever had it took it away meanwhile
                continue
            try:
                yield
            finally:
                with suppress(OSError):  # where open files cannot be removed it stays, and does no harm
                    lock.unlink()
            return
        finally:
            os.close(descriptor)


def _same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _locked(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
