"""The files of a batch: those of one folder beneath the allowed ones whose names fit a pattern. Reads no file."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread

from mcp_llm.errors import InvalidInput, TooLarge
from mcp_llm.files import beneath

if TYPE_CHECKING:
    from mcp_llm.llm.service import Service

LOOKED_AT: Final = 20_000
"""Entries of a folder."""


async def files(service: Service, directory: Any, pattern: Any) -> list[str]:
    """Paths, sorted by name. Raises Denied, InvalidInput, TooLarge."""
    if not isinstance(directory, str) or not isinstance(pattern, str):
        raise InvalidInput("`directory` and `pattern` of a batch have to be text")
    if "/" in pattern or os.sep in pattern:
        raise InvalidInput(
            f"`pattern: {pattern[:60]}` names folders; a batch takes the files of one: put it into `directory`"
        )
    roots = [os.fspath(root) for root in service.roots()]
    names = await anyio.to_thread.run_sync(beneath.names, directory, roots, LOOKED_AT)
    found = [
        os.path.join(directory, name)
        for name in names
        if fnmatchcase(name, pattern) and (not name.startswith(".") or pattern.startswith("."))
    ]
    most = service.config.settings.workflows.files
    if len(found) > most:
        raise TooLarge(f"{len(found)} files fit {pattern!r}; a batch takes at most {most}: narrow the pattern")
    if not found:
        raise InvalidInput(f"no file in {directory!r} fits {pattern!r}")
    return found


def told(path: str) -> dict[str, str]:
    """What `${file}` is."""
    name = os.path.basename(path)
    return {"path": path, "name": name, "stem": name.rpartition(".")[0] or name}
