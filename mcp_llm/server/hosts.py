"""What the host on the other side bears - how long a call, how long a reply - read from `hosts.toml` by its name."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Host:
    """One host; seconds and characters."""

    soft_deadline: float
    result_chars: int
    progress_chars: int


def host(name: str | None) -> Host:
    """What is known of the host of this name; the careful default for any other."""
    known, default = _table()
    lower = (name or "").strip().lower()
    found = next((entry for glob, entry in known if fnmatchcase(lower, glob)), {})
    return Host(**{**default, **found})


@cache
def _table() -> tuple[list[tuple[str, dict[str, Any]]], dict[str, Any]]:
    data = tomllib.loads(files(__package__).joinpath("hosts.toml").read_text(encoding="utf-8"))
    fields = ("soft_deadline", "result_chars", "progress_chars")
    entries = [
        (str(entry["name"]).lower(), {key: entry[key] for key in fields if key in entry})
        for entry in data.get("host", ())
    ]
    return entries, data["default"]
