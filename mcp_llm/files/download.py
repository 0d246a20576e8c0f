"""Downloads a big file so that nothing is lost: a part stays and is gone on with, the whole is checked by its hash."""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import Conflict, Garbled, StoreError
from mcp_llm.http.deadlines import Deadlines
from mcp_llm.http.fetch import NoMore, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from io import BufferedWriter
    from pathlib import Path

    from mcp_llm.http.transport import Transport

MOST: Final = 2 * 1024**4
"""Bytes of one file."""
PATIENCE: Final = Deadlines(idle=60, total=7 * 86_400)
_SHA256: Final = re.compile(r'"?(?:sha256:)?([0-9a-f]{64})"?')
SAYS_HASH: Final = ("x-linked-etag", "x-checksum-sha256")
"""Headers in which a server names the sha256 of the whole file; the first is Hugging Face's, in its redirect."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """`sha256` of the file as it is here; `checked`: it is what the server or the caller said."""

    path: Path
    size: int
    sha256: str
    checked: bool


async def download(
    transport: Transport,
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    trusted: str | None = None,
    token: str | None = None,
    progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> Downloaded:
    """Fetch `url` to `path`, going on with the part that an earlier try has left beside it.

    `token` goes to the `trusted` origin only. `progress(bytes so far, of how many)`. Raises Conflict where `path` is
    there already, Garbled when the hash is another (the part is then thrown away), StoreError when the disk fails.
    """
    part = path.with_name(f".{path.name}.part")
    state = _Part(part, progress)
    try:
        state.open(path)
        if state.size:
            await _rest(transport, url, state, trusted, token)
        if not state.complete:
            state.restart()
            await _get(transport, url, state, {}, trusted, token)
        state.close()
    except OSError as exc:
        raise StoreError(
            f"{path.name} cannot be written ({exc.strerror or type(exc).__name__}); what came is kept"
        ) from None
    finally:
        state.close()
    wanted, found = (sha256 or state.said or "").lower(), state.hash.hexdigest()
    if (wanted and wanted != found) or (state.total is not None and state.total != state.size):
        part.unlink(missing_ok=True)
        raise Garbled("what came is not the file that was announced (its hash or size is another): fetch it again")
    os.replace(part, path)
    return Downloaded(path, state.size, found, bool(wanted))


async def _rest(transport: Transport, url: str, state: _Part, trusted: str | None, token: str | None) -> None:
    """The bytes after those that are here."""
    try:
        await _get(transport, url, state, {"range": f"bytes={state.size}-"}, trusted, token)
    except NoMore as known:  # it is whole, or it was another file
        state.learn(known.headers)
        state.complete = known.total == state.size


async def _get(
    transport: Transport, url: str, state: _Part, headers: dict[str, str], trusted: str | None, token: str | None
) -> None:
    secret = {"authorization": f"Bearer {token}"} if token else {}
    await fetch(
        transport,
        url,
        state.begin,
        most=MOST,
        headers=headers,
        trusted=trusted,
        trusted_headers=secret,
        deadlines=PATIENCE,
    )
    state.complete = True


class _Part:
    """The part beside the file: what is in it, and its hash so far."""

    def __init__(self, path: Path, progress: Callable[[int, int | None], None]) -> None:
        self.path = path
        self.size = 0
        self.total: int | None = None
        self.said: str | None = None
        self.complete = False
        self.hash = hashlib.sha256()
        self._progress = progress
        self._file: BufferedWriter | None = None
        self._told = 0.0

    def open(self, whole: Path) -> None:
        """Take up what is there. Raises Conflict where that is all of it."""
        if whole.exists():
            raise Conflict(f"{whole.name} is there already: remove it to fetch it again")
        if self.path.exists():
            with self.path.open("rb") as file:
                while piece := file.read(1024 * 1024):
                    self.hash.update(piece)
                    self.size += len(piece)
        self._file = self.path.open("ab")

    def restart(self) -> None:
        """From the beginning."""
        assert self._file is not None
        self._file.truncate(0)
        self.size, self.hash = 0, hashlib.sha256()

    def begin(self, status: int, headers: Mapping[str, str]) -> Callable[[bytes], None]:
        """A reply is there: the rest of the file, or all of it."""
        if status != 206:
            self.restart()
        elif not headers.get("content-range", "").startswith(f"bytes {self.size}-"):
            raise Garbled("another part of the file came than was asked for: remove the part and fetch it again")
        self.learn(headers)
        length = headers.get("content-length", "")
        self.total = self.size + int(length) if length.isdigit() else None
        return self._take

    def learn(self, headers: Mapping[str, str]) -> None:
        """What the server says of the whole file."""
        said = next((found[1] for name in SAYS_HASH if (found := _SHA256.fullmatch(headers.get(name, "")))), None)
        self.said = self.said or said

    def _take(self, piece: bytes) -> None:
        assert self._file is not None
        self._file.write(piece)
        self.hash.update(piece)
        self.size += len(piece)
        if (now := time.monotonic()) - self._told >= 0.2:
            self._told = now
            self._progress(self.size, self.total)

    def close(self) -> None:
        """On disk."""
        if self._file is not None and not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._progress(self.size, self.total)
