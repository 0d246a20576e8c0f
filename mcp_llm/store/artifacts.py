"""Made media on disk, named by what is in them: `<sha256>` and an ending, mode 0600, in a folder of mode 0700.

Who may see one is a small record beside it, one for each principal. What a caller sends is only ever compared with the
form of a hash: it never becomes a path otherwise. Everything here blocks: call it in a worker thread.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import InvalidInput, StoreError, TooLarge

from .home import ELSEWHERE, make_folder

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

LOCAL: Final = "local"
"""The principal of the person whose process this is."""
MOST: Final = 512 * 1024 * 1024
"""Bytes of one artifact."""
ENDINGS: Final[dict[str, str]] = {
    "application/json": ".json",
    "application/pdf": ".pdf",
    "audio/aac": ".aac",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/webm": ".weba",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/svg+xml": ".svg",
    "image/webp": ".webp",
    "text/plain": ".txt",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
}
"""MIME type -> ending, so that a person finds the file openable; any other type is `.bin`."""
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_MIME: Final = re.compile(r"[a-z0-9.+-]{1,80}/[a-z0-9.+-]{1,80}")
_NOT_NAMED: Final = re.compile(r"[\x00-\x1f\x7f/\\]+")
# Windows has no such flag, and no links that a user without rights can make.
_PLAIN: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file: its hash, what it is, its size in bytes and what whoever made it calls it."""

    sha256: str
    mime: str
    size: int
    name: str

    @property
    def uri(self) -> str:
        """Where a host reads it."""
        return f"artifacts://{self.sha256}"


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The folder. Nothing is made before the first `put`."""

    folder: Path

    def put(self, data: bytes, mime: str, *, name: str | None = None, principal: str = LOCAL) -> Artifact:
        """Keep the bytes; the same ones again are kept once. Raises InvalidInput and StoreError.

        `name` is for people (`sunset.png`) and never names a file of ours.
        """
        mime = mime.partition(";")[0].strip().lower()
        if not _MIME.fullmatch(mime):
            raise InvalidInput(f"{mime[:80]!r} is no MIME type: say e.g. image/png")
        if len(data) > MOST:
            raise TooLarge(f"an artifact may have {MOST:,} bytes, this one has {len(data):,}")
        sha256 = hashlib.sha256(data).hexdigest()
        shown = _NOT_NAMED.sub(" ", name or "").strip()[:120] or f"{sha256[:12]}{_ending(mime)}"
        made = Artifact(sha256, mime, len(data), shown)
        make_folder(self.folder)
        try:
            self._write(self._data(sha256, mime), data)
            self._write(self._record(sha256, principal), json.dumps(asdict(made)).encode())
        except OSError as error:
            raise _failed(error) from None
        return made

    def get(self, sha256: str, *, principal: str = LOCAL) -> Artifact | None:
        """What is known of one; None for an unknown hash, for what is none, and for somebody else's alike."""
        if not _HASH.fullmatch(sha256):
            return None
        try:
            return Artifact(**json.loads(_read(self._record(sha256, principal))))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed(error) from None
        except (ValueError, TypeError):  # a record that somebody has edited
            return None

    def open(self, sha256: str, *, principal: str = LOCAL) -> BinaryIO:
        """The bytes as a file to read from. Raises InvalidInput where `get` gives None."""
        if (known := self.get(sha256, principal=principal)) is None:
            raise InvalidInput(f"there is no artifact {sha256[:80]!r}; its hash is in the result that made it")
        try:
            return os.fdopen(os.open(self._data(sha256, known.mime), os.O_RDONLY | _PLAIN), "rb")
        except FileNotFoundError:
            raise InvalidInput(f"the file of artifact {sha256} was deleted: make it again") from None
        except OSError as error:
            raise _failed(error) from None

    def path(self, artifact: Artifact) -> Path:
        """Where the file lies, for the person whose machine this is; never for a caller over the network."""
        return self._data(artifact.sha256, artifact.mime)

    def all(self, *, principal: str = LOCAL, limit: int = 100) -> list[Artifact]:
        """The principal's, the newest first."""
        made: list[tuple[float, str]] = []
        with contextlib.suppress(OSError):
            for path in self.folder.glob(f"*.{_owner(principal)}.json"):
                with contextlib.suppress(OSError):  # it was deleted this moment: the others are still there
                    made.append((path.lstat().st_mtime, path.name.partition(".")[0]))
        found = (self.get(sha256, principal=principal) for _, sha256 in sorted(made, reverse=True))
        return list(islice((one for one in found if one is not None), limit))

    def _data(self, sha256: str, mime: str) -> Path:
        return self.folder / f"{sha256}{_ending(mime)}"

    def _record(self, sha256: str, principal: str) -> Path:
        return self.folder / f"{sha256}.{_owner(principal)}.json"

    def _write(self, path: Path, data: bytes) -> None:
        """Whole or not at all, whatever else writes the same name meanwhile."""
        half = path.with_name(f".{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            half.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                half.unlink()
            raise


def _ending(mime: str) -> str:
    return ENDINGS.get(mime, ".bin")


def _owner(principal: str) -> str:
    """A principal's word in a file's name: whatever an issuer calls its people, this is a name."""
    return hashlib.sha256(principal.encode("utf-8", "replace")).hexdigest()[:16]


def _read(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | _PLAIN), "rb") as file:
        return file.read()


def _failed(error: OSError) -> StoreError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreError(f"The disk that holds the artifacts is full: free some space, {ELSEWHERE}.")
    why = error.strerror or type(error).__name__
    return StoreError(f"The artifacts folder cannot be used ({why}): make it readable and writable, {ELSEWHERE}.")
