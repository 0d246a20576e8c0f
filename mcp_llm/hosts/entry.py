"""What a host is told to start: this installation by its whole path, or the package by name through `uvx`."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import jsonc, tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .known import Host, Place

NAME: Final = "mcp-llm"
OURS: Final = frozenset({"mcp-llm", "mcp_llm"})


def command(*, uvx: bool = False, platform: str = sys.platform) -> tuple[str, list[str]]:
    """Program and arguments; absolute where that can be, because hosts have another PATH than a shell."""
    if uvx:
        return shutil.which("uvx") or "uvx", [NAME, "serve"]
    script = Path(sys.executable).with_name(f"{NAME}.exe" if platform == "win32" else NAME)
    return (str(script), ["serve"]) if script.is_file() else (sys.executable, ["-m", "mcp_llm", "serve"])


def entry(place: Place, started: tuple[str, list[str]], env: Mapping[str, str]) -> dict[str, Any]:
    """The fields that a host wants for one server."""
    program, arguments = started
    return {**place.entry, "command": program, "args": arguments, **({"env": dict(env)} if env else {})}


def is_ours(given: object) -> bool:
    """Whether an entry that is there already starts mcp-llm, from wherever."""
    if not isinstance(given, dict):
        return False
    arguments = given.get("args")
    words = [given.get("command"), *(arguments if isinstance(arguments, list) else ())]
    named = (word.replace("\\", "/").rpartition("/")[2].lower() for word in words if isinstance(word, str))
    return any(word.removesuffix(".exe").removesuffix(".cmd").partition("@")[0] in OURS for word in named)


def snippet(place: Place, name: str, fields: Mapping[str, Any]) -> str:
    """The entry as a whole file would have it, to be pasted by hand."""
    if place.kind == "toml":
        return "\n".join(tables.spelled([place.key, name], fields))
    return jsonc.put("", [place.key, name], dict(fields)).rstrip("\n")


def snippets(hosts: Mapping[str, Host], where: Mapping[str, str], env: Mapping[str, str]) -> list[dict[str, str]]:
    """`{host, id, where, paste}` for each host; `where` is its file, by id."""
    return [
        {
            "host": host.title,
            "id": ident,
            "where": where[ident],
            "paste": snippet(host.config, NAME, entry(host.config, command(), env)),
        }
        for ident, host in hosts.items()
        if host.config is not None
    ]


def shell(words: list[str], *, platform: str = sys.platform) -> str:
    """Words as one line of the system's own shell."""
    return subprocess.list2cmdline(words) if platform == "win32" else shlex.join(words)
