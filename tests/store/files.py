"""Rows and files for the tests of the store."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

LEARN = "INSERT INTO learned VALUES (?, ?, ?, ?)"
LEARNED = "SELECT provider, until FROM learned ORDER BY until"


def run(code: str, path: Path) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(path)], check=True)


def spawn(code: str, path: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, str(path), name], stdout=subprocess.PIPE, text=True)


def overwrite(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(data)


def read_bytes(path: Path) -> bytes:
    return path.read_bytes()


def learn(connection: sqlite3.Connection, rows: list[Any]) -> None:
    connection.executemany(LEARN, rows)
