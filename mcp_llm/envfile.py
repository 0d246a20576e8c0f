"""A `.env` file: names and values as text, nothing interpolated, nothing executed. What a value means is not said here.

A working folder's may have come with somebody's repository: it is capped, and what is wrong with it is told.
"""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES: Final = 1024 * 1024
MAX_LINES: Final = 5000


def read(path: Path, problems: list[str], where: str) -> dict[str, str]:
    """What the file sets, {} where there is none; `problems` get what could not be read, `where` says whose it is."""
    try:
        if not path.is_file():
            return {}
        if path.stat().st_size > MAX_BYTES:
            problems.append(f".env in the {where} is over {MAX_BYTES // 1024} KiB and was not read")
            return {}
        data = path.read_bytes()
    except OSError as exc:
        problems.append(f".env in the {where} cannot be read: {type(exc).__name__}")
        return {}
    return values(data, problems, where)


def values(data: bytes, problems: list[str], where: str) -> dict[str, str]:
    """The same of its bytes. A line that is not UTF-8, or sets nothing, is left out and told."""
    if max(data.count(b"\n"), data.count(b"\r")) > MAX_LINES:
        problems.append(f".env in the {where} has more than {MAX_LINES} lines and was not read")
        return {}
    lines: list[str] = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            problems.append(f".env in the {where}, line {number}: not UTF-8, skipped")
    from dotenv.parser import parse_stream  # its `dotenv_values` logs a line for each that is wrong

    found: dict[str, str] = {}
    wrong: list[int] = []
    for one in parse_stream(StringIO("\n".join(lines))):
        if one.error:
            wrong.append(one.original.line)
        elif one.key is not None:
            found[one.key] = (one.value or "").strip()
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        problems.append(f".env in the {where}, line {wrong[0]}{more}: not NAME=value, skipped")
    return {name: value for name, value in found.items() if value}
