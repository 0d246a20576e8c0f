"""The part of a file that is being fetched: its bytes beside where the whole will be, their hash, and their version.

Bytes of two versions of a file are never joined: a note beside the part says which one it is of, and without a server's
word for that, or a hash that the whole has to have, the part begins anew. It asks nobody for anything.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from mcp_llm.errors import Conflict, Garbled
from mcp_llm.types.message import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from io import BufferedWriter
    from pathlib import Path

SAYS_HASH: Final = ("x-linked-etag", "x-checksum-sha256")
"""Headers in which a server names the sha256 of the whole file; the first is Hugging Face's, in its redirect."""
_SHA256: Final = re.compile(r'"?(?:sha256:)?([0-9a-f]{64})"?')
_TAG: Final = re.compile(r'"[!#-~]{0,200}"')
_DATE: Final = re.compile(r"[A-Za-z0-9 ,:+-]{1,40}")
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")


class Changed(Exception):
    """The rest is of another version of the file than the part."""


class Version(Value):
    """What a server said of a whole file: `mark` is what it knows this version by (RFC 9110 13.1.5), `total` bytes.

    `place` is the hash of the URL, which may hold a secret.
    """

    place: str
    mark: Annotated[str, Field(pattern=rf"^({_TAG.pattern}|{_DATE.pattern})$")] | None = None
    sha256: str | None = None
    total: int | None = None

    def fits(self, other: Version) -> bool:
        """Whether the two can be the same; what one of them does not say is no difference."""
        pairs: list[tuple[object, object]] = [(self.sha256, other.sha256), (self.total, other.total)]
        if self.mark and other.mark and self.mark[0] == other.mark[0]:  # a tag, or a date, on both sides
            pairs.append((self.mark, other.mark))
        return all(mine is None or theirs is None or mine == theirs for mine, theirs in pairs)

    def with_more(self, other: Version) -> Version:
        """With what only the other says."""
        return other.model_copy(update=self.model_dump(exclude_none=True))


class Part:
    """What is here of the file that `url` holds, for `path`; `wanted` is the sha256 that it has to have."""

    def __init__(self, path: Path, url: str, wanted: str | None, step: Callable[[int, int | None], None]) -> None:
        self.whole = path
        self.path = path.with_name(f".{path.name}.part")
        self.size = 0
        self.complete = False
        self.hash = hashlib.sha256()
        self._note = self.path.with_name(f"{self.path.name}.json")
        self._blank = Version(place=hashlib.sha256(url.encode()).hexdigest(), sha256=wanted.lower() if wanted else None)
        self._step = step
        self._told = 0.0
        self._file: BufferedWriter | None = None

    def open(self) -> None:
        """Take up what is there, where it can be gone on with. Raises Conflict where the whole is."""
        if self.whole.exists():
            raise Conflict(f"{self.whole.name} is there already: remove it to fetch it again")
        self._file = self.path.open("ab")
        noted = self._noted() or self._blank
        self._version = version = noted.with_more(self._blank)
        if not (noted.fits(self._blank) and (version.mark or version.sha256)):
            self.restart()
            return
        with self.path.open("rb") as file:
            while piece := file.read(1024 * 1024):
                self.hash.update(piece)
                self.size += len(piece)

    def asking(self) -> dict[str, str]:
        """The headers that ask for the rest of this version; without a part, for all of whatever there is."""
        if not self.size:
            return {}
        condition = {"if-range": self._version.mark} if self._version.mark else {}
        return {"range": f"bytes={self.size}-", **condition}

    def begin(self, status: int, headers: Mapping[str, str]) -> Callable[[bytes], None]:
        """A reply is there: the rest of the file, or all of it. Raises Changed, and Garbled for another piece of it."""
        said = self._said(status, headers)
        if status != 206:
            self.restart()
        else:
            piece = _RANGE.fullmatch(headers.get("content-range", ""))
            if piece is None or int(piece[1]) != self.size:
                raise Garbled("another part of the file came than was asked for: fetch it again")
            if not self._version.fits(said) or "content-encoding" in headers:
                raise Changed
        self._version = self._version.with_more(said)
        self._note.write_text(self._version.model_dump_json(), encoding="utf-8")
        return self._take

    def fetched(self) -> None:
        """The reply has ended as it should; a server may give less than it was asked for."""
        self.complete = self.total is None or self.size >= self.total

    def ended(self, headers: Mapping[str, str], total: int | None) -> None:
        """There is no more than is here: it is whole, or it is another file. Raises Changed."""
        said = self._said(416, headers)
        if total != self.size or not self._version.fits(said):
            raise Changed
        self._version = self._version.with_more(said)
        self.complete = True

    def restart(self) -> None:
        """From the beginning, with whatever version comes."""
        assert self._file is not None
        self._file.truncate(0)
        self._note.unlink(missing_ok=True)
        self.size, self.hash, self._version = 0, hashlib.sha256(), self._blank

    @property
    def total(self) -> int | None:
        """Bytes of the whole, as the server says."""
        return self._version.total

    @property
    def expected(self) -> str | None:
        """The sha256 that the whole has to have."""
        return self._version.sha256

    def close(self) -> None:
        """On disk, or OSError."""
        if self._file is not None:
            with self._file as file:  # which closes it also where the rest cannot be written
                file.flush()
                os.fsync(file.fileno())
            self._step(self.size, self.total)

    def remove(self) -> None:
        """Throw it away."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def become_whole(self) -> None:
        """It is all there."""
        os.replace(self.path, self.whole)
        self._note.unlink(missing_ok=True)

    def _take(self, piece: bytes) -> None:
        assert self._file is not None
        self._file.write(piece)
        self.hash.update(piece)
        self.size += len(piece)
        if (now := time.monotonic()) - self._told >= 0.2:
            self._told = now
            self._step(self.size, self.total)

    def _said(self, status: int, headers: Mapping[str, str]) -> Version:
        sha256 = next((found[1] for name in SAYS_HASH if (found := _SHA256.fullmatch(headers.get(name, "")))), None)
        if "content-encoding" in headers:  # its length and its tag are of other bytes than those that are kept
            return Version(place=self._blank.place, sha256=sha256)
        length = headers.get("content-length", "") if status == 200 else ""
        if status == 206 and (piece := _RANGE.fullmatch(headers.get("content-range", ""))):
            length = piece[2]
        total = int(length[:18]) if length.isdigit() else None
        return Version(place=self._blank.place, mark=_mark(headers), sha256=sha256, total=total)

    def _noted(self) -> Version | None:
        try:
            version = Version.model_validate_json(self._note.read_bytes())
        except (OSError, ValueError):
            return None
        return version if version.place == self._blank.place else None


def _mark(headers: Mapping[str, str]) -> str | None:
    """What If-Range may name: a strong tag, or a date of change that is long enough ago to be of one version only."""
    if _TAG.fullmatch(tag := headers.get("etag", "")):
        return tag
    date = headers.get("last-modified", "")
    try:
        age = parsedate_to_datetime(headers.get("date", "")) - parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return None
    return date if _DATE.fullmatch(date) and age >= timedelta(seconds=1) else None
