"""Where a host keeps its servers on this system. Looks for folders, opens nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .known import Place

SYSTEMS = {"darwin": "macos", "win32": "windows"}


def file(place: Place, home: Path, variable: Callable[[str], str | None], *, platform: str = sys.platform) -> Path:
    """The host's own file, whether it is there or not."""
    if place.variable and (moved := variable(place.variable)):
        return Path(moved).expanduser() / place.under
    written = place.file if isinstance(place.file, str) else place.file[SYSTEMS.get(platform, "linux")]
    return _filled(written, home, variable, platform)


def is_there(place: Place, home: Path, variable: Callable[[str], str | None], *, platform: str = sys.platform) -> bool:
    """Whether the host has been started here: it made its folder, or what else is a sign of it."""
    where = file(place, home, variable, platform=platform)
    moved = place.variable is not None and variable(place.variable)
    signs = [_filled(sign, home, variable, platform) for sign in place.signs if not moved] or [where.parent]
    return any(sign.exists() for sign in (where, *signs))


def _filled(written: str, home: Path, variable: Callable[[str], str | None], platform: str) -> Path:
    if platform == "darwin":
        config = home / "Library" / "Application Support"
    elif platform == "win32":
        config = Path(variable("APPDATA") or home / "AppData" / "Roaming")
    else:
        config = Path(variable("XDG_CONFIG_HOME") or home / ".config")
    return Path(written.replace("{home}", str(home)).replace("{config}", str(config)))
