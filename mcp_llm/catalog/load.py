"""Reads the catalog: the package's provider files, then the user's folders and settings, later wins.

A broken file of the user's is told in `Catalog.problems` and left out; a broken file of the package raises. Nothing is
parsed here but what the user wrote: the package's files wait until somebody asks for their provider.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import ConfigError

from .find import Catalog, check_quirks
from .source import Layer, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

MAX_FILE: Final = 1024 * 1024
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def load(
    user_folders: Sequence[Path] = (),
    *,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    variable: Callable[[str], str | None] = lambda _: None,
) -> Catalog:
    """The catalog of the package, of `*.toml` in these folders, and of the settings' `[providers.<id>]` tables.

    A user's file with the name of a provider of ours changes single keys of it; one with a new name is a new provider,
    for which `base_url` is enough. `variable` reads one that may move a provider: a local one that leads to a public
    host is local no more, unless the user says `local = true`.
    """
    sources = {
        entry.name.removesuffix(".toml"): Source(entry.name.removesuffix(".toml"), entry, variable=variable)
        for entry in sorted(files(__package__).joinpath("providers").iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".toml")
    }
    problems: list[str] = []
    for folder in user_folders:
        try:
            paths = sorted(path for path in folder.glob("*.toml") if path.is_file())
        except OSError as exc:
            problems.append(f"the folder of provider files cannot be listed: {type(exc).__name__}")
            continue
        for path in paths:
            try:
                _add(sources, path.name.removesuffix(".toml"), _read(path))
            except ConfigError as exc:
                problems.append(f"{exc} The file is left out.")
    for name, table in (overrides or {}).items():
        try:
            _add(sources, name, Layer(f"[providers.{name}] of the settings", table))
        except ConfigError as exc:
            problems.append(f"{exc} The table is left out.")
    return Catalog(sources, tuple(problems))


def _read(path: Path) -> Layer:
    try:
        if path.stat().st_size > MAX_FILE:
            raise ConfigError(f"{path.name} is over {MAX_FILE // 1024} KiB: a provider file holds a few tables.")
        text = path.read_text(encoding="utf-8-sig")
        return Layer(path.name, tomllib.loads(text), text)
    except (OSError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(f"{path.name} cannot be read ({type(exc).__name__}): make it a UTF-8 text file.") from None
    except ValueError as exc:  # TOMLDecodeError says line and column itself
        raise ConfigError(f"{path.name} is not valid TOML: {exc}.") from None


def _add(sources: dict[str, Source], provider_id: str, layer: Layer) -> None:
    """Lay it over the provider of that id, or begin a new one; the sources stay as they were when it does not fit."""
    if not _ID.fullmatch(provider_id):
        raise ConfigError(f"{layer.origin}: {provider_id!r} is no provider id: use small letters, digits, '-' and '_'.")
    old = sources.get(provider_id)
    new = Source(provider_id, layers=(layer,)) if old is None else replace(old, layers=(*old.layers, layer))
    if new.file is None and not any("base_url" in laid.data for laid in new.layers):
        raise ConfigError(
            f'{layer.origin}: `base_url` is missing: a new provider needs one, such as base_url = "https://host/v1".'
        )
    provider = new.provider
    for lender in provider.rules_from:
        if lender not in sources:
            raise ConfigError(f"{layer.origin}: rules_from: {lender!r} is no provider.")
    if _mentions_quirks(layer.data):
        check_quirks(provider, layer.origin)
    sources[provider_id] = new


def _mentions_quirks(data: Mapping[str, Any]) -> bool:
    """Only then are the wires' modules worth importing at start."""
    rules, models = data.get("rules"), data.get("models")
    tables = [data, *(rules if isinstance(rules, list) else ()), *(models.values() if isinstance(models, dict) else ())]
    return any(isinstance(table, dict) and "quirks" in table for table in tables)
