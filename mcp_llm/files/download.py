"""Downloads a big file so that nothing is lost: a part stays and is gone on with, the whole is checked by its hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import Garbled, StoreError
from mcp_llm.http.deadlines import Deadlines
from mcp_llm.http.fetch import NoMore, fetch

from .alone import alone
from .part import Changed, Part

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mcp_llm.http.transport import Transport

MOST: Final = 2 * 1024**4
"""Bytes of one file."""
PATIENCE: Final = Deadlines(idle=60, total=7 * 86_400)
PIECES: Final = 100
"""Requests for one file, of a server that gives less than it is asked for or keeps changing it."""


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
    there already or another process fetches it, Garbled when the hash is another (the part is then thrown away),
    StoreError when the disk fails.
    """
    with alone(path):
        part = Part(path, url, sha256, progress)
        try:
            try:
                part.open()
                for _ in range(PIECES):
                    await _more(transport, url, part, trusted, token)
                    if part.complete:
                        break
                else:
                    raise Garbled(f"the server gives the file in more than {PIECES} pieces: what came is kept")
            finally:
                part.close()
        except OSError as exc:
            raise StoreError(
                f"{path.name} cannot be written ({exc.strerror or type(exc).__name__}); what came is kept"
            ) from None
        found = part.hash.hexdigest()
        if part.expected not in {None, found} or part.total not in {None, part.size}:
            part.remove()
            raise Garbled("what came is not the file that was announced (its hash or size is another): fetch it again")
        part.become_whole()
    return Downloaded(path, part.size, found, part.expected is not None)


async def _more(transport: Transport, url: str, part: Part, trusted: str | None, token: str | None) -> None:
    """The bytes after those that are here, or all of them where the file has changed meanwhile."""
    secret = {"authorization": f"Bearer {token}"} if token else {}
    asked = part.asking()
    try:
        try:
            await fetch(
                transport,
                url,
                part.begin,
                most=MOST,
                headers=asked,
                trusted=trusted,
                trusted_headers=secret,
                deadlines=PATIENCE,
            )
            part.fetched()
        except NoMore as known:
            if not asked:
                raise
            part.ended(known.headers, known.total)
    except Changed:
        part.restart()
