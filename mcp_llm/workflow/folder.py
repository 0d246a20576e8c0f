"""The workflows of the user's own folder, by name. Only these can be run by name; there a name never becomes a path.

`find` takes paths too: it is for whoever sits at this machine, never for a caller.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import Error, InvalidInput

from . import load
from .inputs import near
from .schema import Workflow

if TYPE_CHECKING:
    from .load import Node

ENDINGS: Final = (".yaml", ".yml")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def names(folder: Path) -> dict[str, Path]:
    """The files by name, sorted; of two with one name the `.yaml` counts."""
    if not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: (path.stem, path.suffix)):
        if path.suffix in ENDINGS and _NAME.fullmatch(path.stem) and path.is_file():
            found.setdefault(path.stem, path)
    return found


def named(folder: Path, name: str) -> Node:
    """The workflow of this name. Raises InvalidInput with the names there are, WorkflowError."""
    found = names(folder)
    if name not in found:
        hint = near(name, list(found), "workflow") if found else f"there is no workflow {name[:60]!r}"
        raise InvalidInput(f"{hint}; workflows are .yaml files in the folder `workflows` of the config folder")
    return read(found[name])


def find(folder: Path, where: str | Path) -> Node:
    """The file of this path, else the workflow of this name. Raises InvalidInput, WorkflowError."""
    # Not `Path.is_file`, which raises for what is too long to be a file's name.
    if os.path.isfile(where) or os.fspath(where).endswith(ENDINGS):
        return read(Path(where))
    return named(folder, os.fspath(where))


def read(path: Path) -> Node:
    """The workflow in a file. Raises WorkflowError, InvalidInput."""
    try:
        with path.open("rb") as file:
            data = file.read(load.MOST_BYTES + 1)
    except OSError as exc:
        raise InvalidInput(f"{path.name} cannot be read: {exc.strerror or type(exc).__name__}") from None
    return load.read(data)


def glance(node: Node) -> Workflow | None:
    """What the file declares, None where it is broken: enough to list it."""
    from pydantic import ValidationError

    try:
        return Workflow.model_validate(node.plain())
    except ValidationError:
        return None


def listed(folder: Path) -> list[tuple[str, Workflow | None]]:
    """(name, what it declares) of every file."""
    found: list[tuple[str, Workflow | None]] = []
    for name, path in names(folder).items():
        try:
            found.append((name, glance(read(path))))
        except Error:
            found.append((name, None))
    return found
