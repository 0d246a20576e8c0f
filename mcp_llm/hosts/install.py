"""Puts an entry into a host's own file and takes it out again, so that nothing else in it can get lost.

The new text is read back before anything is written: if more than our entry differs, nothing is. The old file stays
beside the new one, which takes its place in one step. Links are followed, the mode is kept.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from mcp_llm.errors import InvalidInput

from . import jsonc, tables
from .entry import is_ours

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .known import Place

BOM: Final = b"\xef\xbb\xbf"
MOST_BYTES: Final = 64 * 1024 * 1024
"""One host keeps its whole history in the same file."""
BACKUP: Final = ".before-mcp-llm"


@dataclass(frozen=True, slots=True)
class Done:
    """What happened to a file; `backup` is the former one, where there was any."""

    change: Literal["added", "updated", "removed", "none"]
    file: Path
    backup: Path | None = None


def found(place: Place, file: Path, name: str) -> dict[str, Any] | None:
    """The entry of this name; None where there is none. Raises InvalidInput for a file that cannot be read."""
    servers = _servers(_parse(place, _read(file).text), place)
    entry = servers.get(name)
    return entry if isinstance(entry, dict) else None


def install(place: Place, file: Path, name: str, entry: Mapping[str, Any]) -> Done:
    """Write the entry, or what of it has changed; fields and variables of somebody else's in it stay.

    Raises InvalidInput when the file cannot be read, changed safely or written, or when another program has the name.
    """
    old = _read(file)
    data = _parse(place, old.text)
    servers = _servers(data, place)
    there = servers.get(name)
    if there is not None and not is_ours(there):
        raise InvalidInput(f"{file.name} has a server {name!r} already that starts something else: give --name another")
    wanted: dict[str, Any] = {**(there or {}), **entry}
    if there and isinstance(there.get("env"), dict):
        wanted["env"] = {**there["env"], **entry.get("env", {})}
    if there == wanted:
        return Done("none", file)
    if place.kind == "toml":
        text = tables.put(old.text, [place.key, name], wanted)
    elif there is None:
        text = jsonc.put(old.text, [place.key, name], wanted)
    else:
        text = old.text
        for field, value in wanted.items():
            if there.get(field) != value:
                text = jsonc.put(text, [place.key, name, field], value)
    expected = deepcopy(data)
    expected.setdefault(place.key, {})[name] = wanted
    return Done("added" if there is None else "updated", file, _written(place, old, text, expected))


def remove(place: Place, file: Path, name: str) -> Done:
    """Take the entry out. Raises InvalidInput as `install` does."""
    old = _read(file)
    data = _parse(place, old.text)
    there = _servers(data, place).get(name)
    if there is None:
        return Done("none", file)
    if not is_ours(there):
        raise InvalidInput(f"the server {name!r} in {file.name} starts something else: it stays")
    change = tables.drop if place.kind == "toml" else jsonc.drop
    expected = deepcopy(data)
    del expected[place.key][name]
    if place.kind == "toml" and not expected[place.key]:
        del expected[place.key]  # without a table of its own there is no such key
    return Done("removed", file, _written(place, old, change(old.text, [place.key, name]), expected))


@dataclass(frozen=True, slots=True)
class _Old:
    """A file as it was read: where it really is, its text, whether a byte order mark came first, and its state."""

    file: Path
    text: str
    marked: bool
    state: os.stat_result | None


def _read(file: Path) -> _Old:
    try:
        real = file.resolve(strict=False)
        if not real.exists():
            return _Old(real, "", False, None)
        state = real.stat()
        if not stat.S_ISREG(state.st_mode):
            raise InvalidInput(f"{file} is no file")
        if state.st_size > MOST_BYTES:
            raise InvalidInput(f"{file.name} is bigger than {MOST_BYTES // 1024 // 1024} MiB and stays as it is")
        data = real.read_bytes()
    except (OSError, RuntimeError) as exc:  # a link that leads to itself is either, by version
        raise InvalidInput(f"{file} cannot be read: {_why(exc)}") from None
    try:
        return _Old(real, data.removeprefix(BOM).decode("utf-8"), data.startswith(BOM), state)
    except UnicodeDecodeError:
        raise InvalidInput(f"{file.name} is not UTF-8 and stays as it is: save it as UTF-8, or use --print") from None


def _parse(place: Place, text: str) -> dict[str, Any]:
    try:
        data = tables.parse(text) if place.kind == "toml" else jsonc.parse(text)
    except InvalidInput as exc:
        raise InvalidInput(f"the host's file cannot be read, {exc}: mend it, or use --print and paste") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InvalidInput("the host's file holds no object, and stays as it is: mend it, or use --print and paste")
    return data


def _servers(data: Mapping[str, Any], place: Place) -> dict[str, Any]:
    servers = data.get(place.key, {})
    if not isinstance(servers, dict):
        raise InvalidInput(f"`{place.key}` in the host's file is no table, and stays as it is: mend it")
    return servers


def _written(place: Place, old: _Old, text: str, expected: Mapping[str, Any]) -> Path | None:
    """Put the new text in the old one's place. The path of the backup, None where there was no file."""
    try:
        same = _parse(place, text) == expected
    except InvalidInput:
        same = False
    if not same:
        raise InvalidInput(
            f"{old.file.name} is written in a way that cannot be changed safely, and stays as it is: use --print and "
            "paste"
        )
    data = (BOM if old.marked else b"") + text.encode("utf-8")
    try:
        if old.state is None:
            old.file.parent.mkdir(parents=True, exist_ok=True)
            _replace(old.file, data, None)
            return None
        if not old.state.st_mode & stat.S_IWUSR:
            raise InvalidInput(f"{old.file} may not be written to (something else manages it?): use --print and paste")
        backup = old.file.with_name(old.file.name + BACKUP)
        _replace(backup, old.file.read_bytes(), old.state)
        now = old.file.stat()
        if (now.st_mtime_ns, now.st_size) != (old.state.st_mtime_ns, old.state.st_size):
            raise InvalidInput(f"{old.file.name} was changed by something else just now: try again")
        _replace(old.file, data, old.state)
    except OSError as exc:
        raise InvalidInput(f"{old.file} cannot be written: {_why(exc)}; use --print and paste") from None
    return backup


def _replace(file: Path, data: bytes, state: os.stat_result | None) -> None:
    """The whole file or the old one, whatever happens meanwhile."""
    number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(number, "wb") as new:
            new.write(data)
            new.flush()
            os.fsync(new.fileno())
        if state is not None:
            os.chmod(name, stat.S_IMODE(state.st_mode))
            if sys.platform != "win32" and (state.st_uid, state.st_gid) != (os.geteuid(), os.getegid()):
                with suppress(PermissionError):  # only root may give a file away
                    os.chown(name, state.st_uid, state.st_gid)
        os.replace(name, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _why(error: BaseException) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else "it is a link to itself"
