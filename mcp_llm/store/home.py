"""Opening `state.db` safely: its folder and modes, the connection's settings, and what becomes of a corrupt file.

Blocking; called from the store's own threads only. Messages never show the path: the user knows it as MCP_LLM_HOME.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from mcp_llm.errors import StoreError

from .schema import migrate

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

BUSY_SECONDS = 10.0
ELSEWHERE = "or set MCP_LLM_HOME to another folder"
"""The way out that every error here can name."""


def prepare(path: Path) -> None:
    """Make the folder (0700) and the empty file (0600) where missing, whatever the umask.

    Raises StoreError when the folder or the file is a symbolic link, belongs to somebody else, or is open to all.
    """
    make_folder(path.parent)
    try:
        _make_file(path)
    except OSError as error:
        raise _unusable(error) from None


def make_folder(folder: Path) -> None:
    """Make it (0700) where it is missing. Raises StoreError when it is a link, somebody else's, or open to all."""
    try:
        try:
            found = folder.lstat()
        except FileNotFoundError:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            found = folder.lstat()
        _check_folder(found)
    except OSError as error:
        raise _unusable(error) from None


def _unusable(error: OSError) -> StoreError:
    why = error.strerror or type(error).__name__
    return StoreError(f"The state folder cannot be used ({why}): make it writable, {ELSEWHERE}.")


def _check_folder(found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise StoreError("The state folder is a symbolic link: set MCP_LLM_HOME to the real folder.")
    if not stat.S_ISDIR(found.st_mode):
        raise StoreError(f"The state folder is not a folder: remove what is in its place, {ELSEWHERE}.")
    if sys.platform == "win32":  # there the mode bits say nothing about who may write
        return
    if found.st_mode & stat.S_IWOTH:
        raise StoreError(f"The state folder can be written by every user: run `chmod 700` on it, {ELSEWHERE}.")
    if found.st_uid not in {os.geteuid(), 0}:
        raise StoreError(f"The state folder belongs to another user: `chown` it, {ELSEWHERE}.")


def _make_file(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # another process was first
            made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            os.close(made)
        found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"state.db is a link or not a file: remove it, {ELSEWHERE}.")
    if sys.platform != "win32" and found.st_uid not in {os.geteuid(), 0}:
        raise StoreError(f"state.db belongs to another user: `chown` it, {ELSEWHERE}.")
    # By name and not by descriptor: closing a descriptor of an open database drops SQLite's POSIX locks on it.
    if sys.platform != "win32" and stat.S_IMODE(found.st_mode) != 0o600 and found.st_uid == os.geteuid():
        path.chmod(0o600)


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """A connection with our settings; with `write` also migrated. The file has to exist. Raises sqlite3.Error."""
    import sqlite3

    if write and _lost_its_beginning(path):
        error = sqlite3.DatabaseError("the file is empty, its log is not")
        error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
        raise error
    name = f"file:{quote(path.as_posix())}?mode=rw"
    connection = sqlite3.connect(
        name, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=write, cached_statements=256
    )
    try:
        if write:
            if path.stat().st_size == 0:  # heard by an empty file only; to say it again costs a commit
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA journal_size_limit = 16777216")
            migrate(connection)
        else:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    # Changing the journal mode does not wait in SQLite's busy handler when two processes create the file at once.
    import sqlite3

    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if _code(error) not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise StoreError(f"The file system of the state folder cannot hold a shared database: {ELSEWHERE[3:]}.")
        return


def memory() -> sqlite3.Connection:
    """An empty, migrated database that ends with the process."""
    import sqlite3

    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=256)
    connection.execute("PRAGMA foreign_keys = ON")
    migrate(connection)
    return connection


def identity(path: Path) -> tuple[int, int] | None:
    """Which file has this name now; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def set_aside(path: Path, damaged: tuple[int, int] | None) -> str | None:
    """Rename the corrupt file (and its log), unless another process has done so; the new name, or None."""
    with _exclusive(path.parent):
        if damaged is None or identity(path) != damaged:
            return None
        name = f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}"
        count = 0
        while (target := path.with_name(name if not count else f"{name}-{count}")).exists():
            count += 1
        # The log first: were it left behind alone, the next database would take it for its own and delete it.
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(OSError):
                path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
        path.rename(target)
        return target.name


def _lost_its_beginning(path: Path) -> bool:
    """True for an empty file with a log beside it. SQLite would delete the log, and with it what was written last."""
    try:
        return path.stat().st_size == 0 and path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """One process at a time, where the platform can lock a folder."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def is_corrupt(error: BaseException) -> bool:
    """True when SQLite says that the file is not, or is no longer, a database."""
    import sqlite3

    return isinstance(error, sqlite3.DatabaseError) and _code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def has_failed(error: BaseException) -> bool:
    """True when it is the disk, the memory or the file that failed, and not the statement."""
    import sqlite3

    names = ("FULL", "IOERR", "NOMEM", "READONLY", "CANTOPEN", "PROTOCOL", "BUSY", "LOCKED", "INTERRUPT")
    codes = {getattr(sqlite3, f"SQLITE_{name}") for name in names}
    return is_corrupt(error) or (isinstance(error, sqlite3.OperationalError) and _code(error) in codes)


def explain(error: BaseException) -> Exception:
    """The error of ours for one of SQLite's; ours and a programmer's pass unchanged."""
    import sqlite3

    from mcp_llm.errors import Conflict, Error

    if isinstance(error, Error):
        return error
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(f"Somebody else has written this row, or its owner is gone ({error}).")
    if not isinstance(error, sqlite3.Error | OSError):
        return error if isinstance(error, Exception) else StoreError("The store was stopped.")
    code = _code(error) if isinstance(error, sqlite3.Error) else None
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"The disk that holds the state folder is full: free some space, {ELSEWHERE}.")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StoreError(f"Another process kept the state database locked for {BUSY_SECONDS:.0f} s: try again.")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StoreError(
            "A part of the state database is damaged, and what is in it cannot be read: move state.db away, and "
            f"`sqlite3 state.db .recover` may read what is left of it, {ELSEWHERE}."
        )
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
        return StoreError(f"The state database cannot be written: make the folder and file writable, {ELSEWHERE}.")
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(f"The disk that holds the state database failed or is full: check it, {ELSEWHERE}.")
    return StoreError(f"The state database failed ({error}): {ELSEWHERE[3:]} if this lasts.")


def _code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF  # extended codes keep the primary one in the low byte
