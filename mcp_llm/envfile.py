"""Reads one `.env` file as people write them. It judges no name and puts nothing into the environment."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES: Final = 1024 * 1024
MAX_LINES: Final = 5000


def read(path: Path, problems: list[str], where: str) -> dict[str, str]:
    """Names and values that are not empty, values without white space around them; `problems` get what was wrong.

    The last of two lines with one name counts. A line that is not UTF-8 is skipped, a file that is too large not read.
    """
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
    lines: list[str] = []
    if data.count(b"\n") > MAX_LINES:
        problems.append(f".env in the {where} has more than {MAX_LINES} lines and was not read")
        return {}
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            problems.append(f".env in the {where}, line {number}: not UTF-8, skipped")
    from dotenv import dotenv_values

    values = dotenv_values(stream=StringIO("\n".join(lines)), interpolate=False)
    return {name: value.strip() for name, value in values.items() if value}
