"""Where hosts keep their servers, by system."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from mcp_llm.hosts import places
from mcp_llm.hosts.known import installable

HOME = Path("/home/ana")
FILES = {
    "claude-code": (".claude.json", ".claude.json", ".claude.json"),
    "claude-desktop": (
        ".config/Claude/claude_desktop_config.json",
        "Library/Application Support/Claude/claude_desktop_config.json",
        "AppData/Roaming/Claude/claude_desktop_config.json",
    ),
    "vscode": (
        ".config/Code/User/mcp.json",
        "Library/Application Support/Code/User/mcp.json",
        "AppData/Roaming/Code/User/mcp.json",
    ),
    "cursor": (".cursor/mcp.json",) * 3,
    "codex": (".codex/config.toml",) * 3,
    "gemini": (".gemini/settings.json",) * 3,
    "zed": (".config/zed/settings.json", ".config/zed/settings.json", "AppData/Roaming/Zed/settings.json"),
    "windsurf": (".codeium/windsurf/mcp_config.json",) * 3,
}


def test_every_host_that_can_be_installed_into_is_here() -> None:
    assert list(installable()) == list(FILES)


@pytest.mark.parametrize(("ident", "files"), FILES.items(), ids=FILES)
def test_a_host_keeps_its_servers_where_its_system_wants_it(ident: str, files: tuple[str, ...]) -> None:
    place = installable()[ident].config
    assert place is not None
    found = [places.file(place, HOME, lambda _: None, platform=system) for system in ("linux", "darwin", "win32")]
    assert [PurePosixPath(path.relative_to(HOME)).as_posix() for path in found] == list(files)


@pytest.mark.parametrize(
    ("ident", "platform", "variable", "value", "file"),
    [
        ("claude-code", "linux", "CLAUDE_CONFIG_DIR", "/srv/claude", "/srv/claude/.claude.json"),
        ("codex", "darwin", "CODEX_HOME", "/srv/codex", "/srv/codex/config.toml"),
        ("vscode", "linux", "VSCODE_PORTABLE", "/usb/data", "/usb/data/user-data/User/mcp.json"),
        ("vscode", "linux", "XDG_CONFIG_HOME", "/srv/config", "/srv/config/Code/User/mcp.json"),
        ("claude-desktop", "win32", "APPDATA", "/roam", "/roam/Claude/claude_desktop_config.json"),
        ("cursor", "linux", "XDG_CONFIG_HOME", "/srv/config", "/home/ana/.cursor/mcp.json"),
    ],
)
def test_a_variable_moves_it(ident: str, platform: str, variable: str, value: str, file: str) -> None:
    place = installable()[ident].config
    assert place is not None
    assert places.file(place, HOME, {variable: value}.get, platform=platform) == Path(file)


def test_a_host_is_here_once_it_has_made_its_folder(tmp_path: Path) -> None:
    cursor, code = installable()["cursor"].config, installable()["claude-code"].config
    assert cursor is not None
    assert code is not None
    assert not places.is_there(cursor, tmp_path, lambda _: None)
    (tmp_path / ".cursor").mkdir()
    assert places.is_there(cursor, tmp_path, lambda _: None)
    # The home folder alone says nothing of a host that keeps its file right in it.
    assert not places.is_there(code, tmp_path, lambda _: None)
    (tmp_path / ".claude.json").write_text("{}")
    assert places.is_there(code, tmp_path, lambda _: None)
