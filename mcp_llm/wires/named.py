"""A dialect by its name: the module of a folder of `wires/`, imported when first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection


def dialect(package: str, name: str, known: Collection[str]) -> Any:
    """The module `name` of the package; KeyError for a name that is not known."""
    if name not in known:
        raise KeyError(name)
    return import_module(f"{package}.{name}")
