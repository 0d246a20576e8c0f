"""What is known of hosts - how long a call they bear, how long a reply, where they keep their servers - as data.

`hosts.toml` is the one source: the server asks by the name a client gives itself, the command line by id.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host keeps its servers; the fields of `[host.config]`."""

    kind: Literal["json", "toml"]
    key: str
    file: str | dict[str, str]
    then: str
    variable: str | None = None
    under: str = ""
    signs: tuple[str, ...] = ()
    entry: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Host:
    """One host; seconds and characters. `id` is empty for one that nobody knows."""

    soft_deadline: float
    result_chars: int
    progress_chars: int
    id: str = ""
    title: str = ""
    clients: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    why: str = ""
    config: Place | None = None


LISTS: Final = ("clients", "features", "signs")


def host(client: str | None) -> Host:
    """What is known of the client of this name; the careful default for any other."""
    known, default = _table()
    lower = (client or "").strip().lower()
    return next((one for one in known if any(fnmatchcase(lower, glob) for glob in one.clients)), default)


def installable() -> dict[str, Host]:
    """The hosts whose settings can be edited, by id, in the order of the file."""
    return {one.id: one for one in _table()[0] if one.config is not None}


@cache
def _table() -> tuple[tuple[Host, ...], Host]:
    data = tomllib.loads(files(__package__).joinpath("hosts.toml").read_text(encoding="utf-8"))
    default = data["default"]
    return tuple(_host({**default, **entry}) for entry in data["host"]), Host(**default)


def _host(fields: dict[str, Any]) -> Host:
    place = fields.pop("config", None)
    return Host(**_frozen(fields), config=None if place is None else Place(**_frozen(place)))


def _frozen(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if name in LISTS else value for name, value in fields.items()}
