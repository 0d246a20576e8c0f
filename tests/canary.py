"""A key that may be seen nowhere, and the pytest plugin that looks for it in everything the tests leave behind.

Tests give `KEY` wherever a key is asked for. At the end of the session every file below the temporary folders is
searched - databases and their logs, artifacts, records, what processes wrote - and so is what was captured of each test
and what subprocesses gave. `.env` files hold keys by their nature; any other place is named with `expect(path)`.
"""

from __future__ import annotations

import subprocess
from base64 import b64encode
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

__all__ = ["KEY", "expect", "holds", "search"]

KEY: Final = "sk-canary-0123456789abcdef"
KEY_FILES: Final = frozenset({".env"})
"""Names of files that are for keys."""
PIECE: Final = 8 * 1024 * 1024
MOST: Final = 256 * 1024 * 1024
"""Bytes of one file that are searched: some of the tests' files are sparse and huge."""
SEEN = pytest.StashKey[list[str]]()
EXPECTED: Final[set[Path]] = set()


def expect(path: Path) -> Path:
    """The test itself puts the key there, or has it put there on its user's order: a file, or all of a folder."""
    EXPECTED.add(path.resolve())
    return path


def _coded(secret: bytes) -> Iterator[bytes]:
    """In the middle of any base64, of any header that it stands in: what no neighbouring byte can change."""
    for before, unsure in enumerate((0, 2, 3)):
        whole = b64encode(b"\0" * before + secret)[unsure : (before + len(secret)) * 8 // 6]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


_PLAIN: Final = (KEY.encode(), quote(KEY, safe="").encode().lower(), KEY.encode().hex().encode())
_CODED: Final = frozenset(_coded(KEY.encode()))
_LONGEST: Final = max(map(len, (*_PLAIN, *_CODED)))


def holds(data: bytes) -> bool:
    """Whether the key is in there: as it is in any case of letters, percent-encoded, in base64, in hexadecimal."""
    small = data.lower()
    return any(form in small for form in _PLAIN) or any(form in data for form in _CODED)


def search(folder: Path) -> tuple[list[Path], int]:
    """The files below the folder that hold the key and should not, and how many were searched."""
    found, searched = [], 0
    for path in folder.rglob("*"):
        try:
            if not S_ISREG(path.lstat().st_mode) or path.name in KEY_FILES:
                continue
            searched += 1
            if _in_file(path) and EXPECTED.isdisjoint((path.resolve(), *path.resolve().parents)):
                found.append(path)
        except OSError:  # a test took its rights away, or it is gone
            continue
    return sorted(found), searched


def _in_file(path: Path) -> bool:
    read, end = 0, b""
    with path.open("rb") as file:
        while read < MOST and (piece := file.read(PIECE)):
            if holds(end + piece):
                return True
            end = piece[-_LONGEST:]
            read += len(piece)
    return False


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SEEN] = seen = []
    patch = pytest.MonkeyPatch()
    communicate = subprocess.Popen.communicate

    def heard(process: subprocess.Popen[Any], *args: Any, **words: Any) -> tuple[Any, Any]:
        streams = communicate(process, *args, **words)
        for name, said in zip(("stdout", "stderr"), streams, strict=True):
            data = said.encode("utf-8", "surrogateescape") if isinstance(said, str) else said
            if data and holds(data):
                seen.append(f"{name} of {str(process.args)[:200].replace(KEY, '$KEY')}")
        return streams

    patch.setattr(subprocess.Popen, "communicate", heard)
    config.add_cleanup(patch.undo)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    for name, said in report.sections:
        if holds(said.encode("utf-8", "surrogateescape")):
            item.config.stash[SEEN].append(f"{name} of {report.nodeid}")
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Before the folders are removed."""
    factory = getattr(session.config, "_tmp_path_factory", None)
    folder = getattr(factory, "_basetemp", None)
    if folder is None:
        return
    found, searched = search(folder)
    seen = list(dict.fromkeys([*session.config.stash[SEEN], *(str(path.relative_to(folder)) for path in found)]))
    session.config.stash[SEEN] = [*seen, f"in {len(seen)} places ({searched} files were searched)"]
    if seen:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not (seen := config.stash[SEEN]):
        return
    for place in seen[:-1]:
        terminalreporter.write_line(f"A KEY LEAKED: {place}", red=True)
    terminalreporter.write_line(f"the canary key was found {seen[-1]}")
