"""What a child process may know of the environment, and `${VARIABLE}` in what the user wrote about a server. Pure."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import ToolFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mcp_llm.settings import Server

_POSIX: Final = ("PATH", "HOME", "LANG", "TMPDIR", "USER")
_LOCALE: Final = tuple(
    f"LC_{name}"
    for name in (
        *("ALL", "CTYPE", "COLLATE", "MESSAGES", "MONETARY", "NUMERIC", "TIME"),
        *("ADDRESS", "IDENTIFICATION", "MEASUREMENT", "NAME", "PAPER", "TELEPHONE"),
    )
)
_WINDOWS: Final = (
    *("PATH", "PATHEXT", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "TEMP", "TMP", "USERNAME", "USERPROFILE"),
    *("APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "HOMEDRIVE", "HOMEPATH", "PROCESSOR_ARCHITECTURE"),
)
_MOST: Final = 64 * 1024
_NAMED: Final = re.compile(r"\$\{(\w+)")
SECRET: Final = re.compile(r"key|token|secret|passw|auth|credential|cookie|session", re.IGNORECASE)
"""The names of variables, headers and arguments whose values are secrets."""


def child_environment(given: Mapping[str, str], resolve: Callable[[str], str | None]) -> dict[str, str]:
    """The few variables no program runs without, and those the user names for this server."""
    plain = _WINDOWS if sys.platform == "win32" else (*_POSIX, *_LOCALE)
    # A value such as `() { ...` is a shell function in disguise.
    environment = {name: value for name in plain if (value := resolve(name)) and not value.startswith("()")}
    environment.setdefault("PATH", os.defpath)
    return environment | {name: fill(value, resolve) for name, value in given.items()}


def secrets(server: Server, resolve: Callable[[str], str | None]) -> Iterator[str]:
    """What this server is given under the name of a secret, or from a variable of such a name."""
    asked = ("client_secret", (server.oauth.client_secret if server.oauth else None) or "")
    unnamed = (("", part) for part in (*server.args, server.url or ""))
    for name, value in (*server.env.items(), *server.headers.items(), asked, *unnamed):
        for variable in filter(SECRET.search, _NAMED.findall(value)):  # `--key=${KEY}` may come back without `--key=`
            yield from (resolve(variable) or "").split()
        if SECRET.search(name) or any(map(SECRET.search, _NAMED.findall(value))):
            with suppress(ToolFailed):  # a variable that is not set holds no secret
                yield from fill(value, resolve).split()


def fill(text: str, resolve: Callable[[str], str | None]) -> str:
    """The text with `${NAME}` and `${NAME:-default}` replaced, once; values are not looked at again.

    Raises ToolFailed for a variable that is not set.
    """
    if "${" not in text:
        return text
    kept: list[str] = []
    at = 0
    while (start := text.find("${", at)) >= 0:
        end = text.find("}", start)
        if end < 0:
            break
        kept.append(text[at:start])
        name, marked, default = text[start + 2 : end].partition(":-")
        value = resolve(name) if name.isidentifier() and name.isascii() else None
        if value is None:
            if not marked:
                raise ToolFailed(f"its settings use ${{{name[:60]}}}, which is not set: set the variable {name[:60]}")
            value = default
        kept.append(value)
        at = end + 1
    kept.append(text[at:])
    filled = "".join(kept)
    if len(filled) > _MOST:
        raise ToolFailed(f"one of its settings is longer than {_MOST} characters once its variables are filled in")
    return filled
