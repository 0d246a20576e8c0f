"""Writes the user's own `.env` and `mcp_llm.toml`: one change at a time, every other line as it was, never half a file.

A new file is put in the place of the old one, for its owner's eyes only (0600). A change that would alter anything else
is refused: what the result says is read back before it is written.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import ConfigError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
LONGEST: Final = 8192
"""Characters of one value."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@%+=,~-]+")


def variable(path: Path, name: str, value: str | None) -> None:
    """Set a variable in a `.env` file, or take it out (None). Raises InvalidInput, ConfigError."""
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name[:80]!r} is no name of a variable")
    if value is not None and not (0 < len(value) <= LONGEST and all(33 <= ord(char) <= 126 for char in value)):
        raise InvalidInput(f"the value of {name} is empty, too long, or holds white space or characters no key has")
    text = _text(path)
    changed = _changed(text, name, value)
    before, after = _values(text), _values(changed)
    wanted = {key: found for key, found in before.items() if key != name} | ({} if value is None else {name: value})
    if after != wanted:
        raise ConfigError(
            f".env cannot be changed safely: some line of it is not NAME=value. Set {name} there by hand."
        )
    if changed != text:
        put(path, changed)


def settings(path: Path, changes: Mapping[tuple[str, ...], Any]) -> str:
    """The text of a TOML file with dotted places set, or taken out (None): `("tiers", "pro")` -> value. Not written.

    Comments, order and every other line stay. Raises ConfigError for a file that is no TOML.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(_text(path))
    except TOMLKitError as exc:
        raise ConfigError(f"{path.name} is not valid TOML: {exc}. Mend it, then save here.") from None
    for place, value in changes.items():
        *tables, last = place
        table: Any = document
        for name in tables:
            if not isinstance(table.get(name), dict):
                if value is None:
                    break
                if name in table:
                    del table[name]
                table[name] = tomlkit.table()
            table = table[name]
        else:
            if value is None:
                table.pop(last, None)
            elif last not in table or table[last] != value:
                table[last] = tomlkit.inline_table() if isinstance(value, dict) else value
                if isinstance(value, dict):
                    table[last].update(value)
    return tomlkit.dumps(document)


def put(path: Path, text: str) -> None:
    """Write the file whole, 0600, in the place of the old one. Raises ConfigError."""
    target = Path(os.path.realpath(path))  # a link to the file's real home stays one
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(made, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside)
            raise
    except OSError as exc:
        raise ConfigError(f"{path.name} cannot be written ({exc.strerror}): make its folder writable") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig") if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path.name} cannot be read: {type(exc).__name__}. Make it UTF-8 text.") from None


def _changed(text: str, name: str, value: str | None) -> str:
    """The text with the line set anew in its place (the last one, where there are several), or at the end."""
    from dotenv.parser import parse_stream

    line = "" if value is None else f"{name}={_quoted(value)}\n"
    pieces = [(binding.key, binding.original.string) for binding in parse_stream(StringIO(text))]
    own = [index for index, (key, _) in enumerate(pieces) if key == name]
    found = []
    for index, (_, original) in enumerate(pieces):
        if index not in own:
            found.append(original)
        elif index == own[-1]:
            # A binding begins with the empty lines before it.
            found.append(original[: len(original) - len(original.lstrip("\n"))] + line)
    if not own and line:
        if found and not found[-1].endswith("\n"):
            found.append("\n")
        found.append(line)
    return "".join(found)


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _values(text: str) -> dict[str, str | None]:
    from dotenv import dotenv_values

    return dict(dotenv_values(stream=StringIO(text), interpolate=False))
