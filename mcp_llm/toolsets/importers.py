"""The MCP servers a person has already set up in other programs, as servers of ours. Reading starts nothing.

What lies in a project's folder is somebody else's until the user says that the folder is trusted.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from mcp_llm.settings import Server

from . import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_BYTES: Final = 32 * 1024 * 1024
"""One of them keeps its whole history in the same file."""
MOST_SERVERS: Final = 200
_KNOWN: Final = {"command", "args", "env", "cwd", "url", "headers", "type", "transport", "disabled", "timeout"}
# Said by a host about itself, or of no use without it: no reason for a note.
_HOSTS_OWN: Final = {"name", "description", "icon", "gallery", "version", "serverUrl", "enabled"}
_VARIABLE: Final = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}")
_OTHER: Final = re.compile(r"\$\{[^}]*\}")
_JSONC: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|//[^\n]*|/\*(?:.*?\*/|.*)|,(?=\s*[}\]])', re.DOTALL)


@dataclass(slots=True)
class Imported:
    """What one file gave: `host` is whose file it is, `notes` what was left out of it and why."""

    host: str
    file: str
    servers: dict[str, Server] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find(
    home: Path,
    variable: Callable[[str], str | None],
    *,
    project: Path | None = None,
    trusted: bool = False,
    platform: str = sys.platform,
) -> list[Imported]:
    """Every file of Claude Desktop, Claude Code, VS Code and Cursor that exists, the user's own ones first.

    `project` is a folder whose own files are read only if it is `trusted`, else they are named in a note.
    """
    found: list[Imported] = []
    for host, path, key in _own_files(home, variable, platform):
        if path.is_file():
            found.append(read(path, host, key, project=project, home=home))
    if project is not None:
        for host, path, key in _project_files(project):
            if not path.is_file():
                continue
            if trusted:
                found.append(read(path, host, key, project=project, home=home))
            else:
                note = "It lies in the project's folder, which is not trusted, and was not read."
                found.append(Imported(host, path.name, notes=[note]))
    return found


def read(path: Path, host: str, key: str, *, project: Path | None = None, home: Path | None = None) -> Imported:
    """The servers of one file, found under `key`. A file that cannot be read gives a note and no server."""
    imported = Imported(host, path.name)
    try:
        if path.stat().st_size > MOST_BYTES:
            imported.notes.append(f"It is bigger than {MOST_BYTES // 1024 // 1024} MiB and was not read.")
            return imported
        data = _json(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        imported.notes.append(f"It cannot be read: {type(error).__name__}. It has to be JSON in UTF-8.")
        return imported
    folders = {"workspaceFolder": project, "userHome": home}
    for table in _tables(data, key, project):
        for name, given in list(table.items())[:MOST_SERVERS]:
            shown = text.line(str(name), 80)
            if not shown or shown in imported.servers:
                continue
            server = _server(shown, given, folders, imported.notes)
            if server is not None:
                imported.servers[shown] = server
        if len(table) > MOST_SERVERS:
            imported.notes.append(f"Only the first {MOST_SERVERS} servers were read.")
    if isinstance(data, dict) and data.get("inputs"):
        imported.notes.append("Its `inputs` are not asked for: put such values into variables, as ${NAME}.")
    return imported


def _own_files(home: Path, variable: Callable[[str], str | None], platform: str) -> Iterator[tuple[str, Path, str]]:
    if platform == "darwin":
        folder = home / "Library" / "Application Support"
    elif platform == "win32":
        folder = Path(variable("APPDATA") or home / "AppData" / "Roaming")
    else:
        folder = Path(variable("XDG_CONFIG_HOME") or home / ".config")
    yield "Claude Desktop", folder / "Claude" / "claude_desktop_config.json", "mcpServers"
    yield "Claude Code", home / ".claude.json", "mcpServers"
    yield "VS Code", folder / "Code" / "User" / "mcp.json", "servers"
    yield "Cursor", home / ".cursor" / "mcp.json", "mcpServers"


def _project_files(project: Path) -> Iterator[tuple[str, Path, str]]:
    yield "Claude Code", project / ".mcp.json", "mcpServers"
    yield "VS Code", project / ".vscode" / "mcp.json", "servers"
    yield "Cursor", project / ".cursor" / "mcp.json", "mcpServers"


def _tables(data: Any, key: str, project: Path | None) -> Iterator[dict[str, Any]]:
    if not isinstance(data, dict):
        return
    # What the user set up for this folder alone comes before what holds everywhere.
    projects = data.get("projects")
    if project is not None and isinstance(projects, dict):
        mine = projects.get(str(project))
        if isinstance(mine, dict) and isinstance(mine.get(key), dict):
            yield mine[key]
    if isinstance(data.get(key), dict):
        yield data[key]


def _server(name: str, given: Any, folders: dict[str, Path | None], notes: list[str]) -> Server | None:
    if not isinstance(given, dict):
        notes.append(f"{name}: it is no object and was left out.")
        return None
    kind = given.get("type", given.get("transport"))
    url = given.get("url", given.get("serverUrl"))
    if kind in {"sse", "ws", "websocket"}:
        notes.append(f"{name}: its transport ({kind}) is not spoken here; it was left out.")
        return None
    ignored = sorted(str(key) for key in given.keys() - _KNOWN - _HOSTS_OWN)
    if ignored:
        notes.append(f"{name}: ignored {text.line(', '.join(ignored))}.")
    lost: set[str] = set()

    def spelled(value: Any) -> Any:
        if isinstance(value, str):
            return _spelled(value, folders, lost)
        if isinstance(value, list):
            return [spelled(item) for item in value]
        if isinstance(value, dict):
            return {str(key): spelled(item) for key, item in value.items() if item is not None}
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    fields: dict[str, Any] = {
        field: spelled(given[field]) for field in ("args", "env", "cwd", "headers") if given.get(field)
    }
    if isinstance(given.get("command"), str) and kind != "http":
        fields["command"] = spelled(given["command"])
    elif isinstance(url, str):
        fields["url"] = spelled(url)
    if given.get("disabled") is True or given.get("enabled") is False:
        fields["disabled"] = True
    timeout = given.get("timeout")
    if isinstance(timeout, int | float) and not isinstance(timeout, bool) and timeout > 0:
        # Hosts write milliseconds; a small number can only be meant as seconds.
        fields["call_timeout_s"] = timeout / 1000 if timeout >= 1000 else timeout
    try:
        server = Server.model_validate(fields)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(piece) for piece in first["loc"])
        notes.append(f"{name}: left out, {where + ': ' if where else ''}{first['msg']}.")
        return None
    if lost:
        notes.append(f"{name}: {text.line(', '.join(sorted(lost)))} means nothing here; set it in the config file.")
    return server


def _spelled(value: str, folders: dict[str, Path | None], lost: set[str]) -> str:
    """The host's variables in our spelling: `${env:X}` is `${X}`, folders are filled in."""

    def one(match: re.Match[str]) -> str:
        whole = match.group()
        folder = folders.get(whole[2:-1])
        if folder is not None:
            return str(folder)
        if whole[2:-1] in folders or not _VARIABLE.fullmatch(whole):
            lost.add(whole)
            return whole
        return _VARIABLE.sub(lambda known: f"${{{known[1]}{known[2] or ''}}}", whole)

    return _OTHER.sub(one, value)


def _json(source: str) -> Any:
    """JSON, also with the comments and last commas that editors allow."""
    try:
        return json.loads(source)
    except ValueError:
        plain = _JSONC.sub(lambda match: match.group() if match.group().startswith('"') else "", source)
        # A comma before a comment is the last one only once the comment is gone.
        return json.loads(_JSONC.sub(lambda match: match.group() if match.group().startswith('"') else "", plain))
