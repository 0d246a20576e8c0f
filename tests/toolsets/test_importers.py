"""The files in which people already have their servers, read as far as they mean something here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.settings import Server
from mcp_llm.toolsets.importers import Imported, find, read

if TYPE_CHECKING:
    from pathlib import Path


def nothing(name: str) -> str | None:
    return None


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_every_host_s_file_is_found_and_a_project_s_only_when_trusted(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    write(home / ".config/Claude/claude_desktop_config.json", {"mcpServers": {"a": {"command": "x", "args": ["-y"]}}})
    write(
        home / ".claude.json",
        {
            "mcpServers": {"b": {"type": "http", "url": "https://b/mcp", "headers": {"Authorization": "Bearer ${T}"}}},
            "projects": {str(project): {"mcpServers": {"b": {"command": "mine"}, "c": {"command": "c"}}}},
        },
    )
    write(home / ".config/Code/User/mcp.json", {"servers": {"d": {"type": "stdio", "command": "d"}}})
    write(home / ".cursor/mcp.json", {"mcpServers": {"e": {"url": "https://e/mcp"}}})
    write(project / ".mcp.json", {"mcpServers": {"f": {"command": "f"}}})
    found = find(home, nothing, project=project, platform="linux")
    assert [(item.host, list(item.servers)) for item in found] == [
        ("Claude Desktop", ["a"]),
        ("Claude Code", ["b", "c"]),
        ("VS Code", ["d"]),
        ("Cursor", ["e"]),
        ("Claude Code", []),
    ]
    assert found[0].servers["a"] == Server(command="x", args=("-y",))
    assert found[1].servers["b"] == Server(command="mine")
    assert found[3].servers["e"] == Server(url="https://e/mcp")
    assert found[4].notes == ["It lies in the project's folder, which is not trusted, and was not read."]
    assert find(home, nothing, project=project, trusted=True, platform="linux")[4].servers == {"f": Server(command="f")}


@pytest.mark.parametrize(
    ("platform", "folder"), [("darwin", "Library/Application Support"), ("win32", "AppData/Roaming"), ("linux", "x")]
)
def test_files_are_where_the_platform_has_them(tmp_path: Path, platform: str, folder: str) -> None:
    write(tmp_path / folder / "Claude/claude_desktop_config.json", {"mcpServers": {"a": {"command": "x"}}})
    variable = {"XDG_CONFIG_HOME": str(tmp_path / "x")}.get
    [found] = find(tmp_path, variable, platform=platform)
    assert found.servers == {"a": Server(command="x")}


def test_comments_variables_and_inputs_of_an_editor_are_understood(tmp_path: Path) -> None:
    path = write(
        tmp_path / "mcp.json",
        """{
  // servers of mine
  "inputs": [{"id": "key", "type": "promptString"}],
  "servers": {
    "a": {"command": "run", "args": ["${workspaceFolder}/x", "--url=http://h//p"], /* here */
          "env": {"T": "${env:TOKEN}", "K": "${input:key}", "N": 7, "Z": "${Z:-1}"}, "envFile": ".env",},
  },
}""",
    )
    found = read(path, "VS Code", "servers", project=tmp_path / "p")
    args = (f"{tmp_path / 'p'}/x", "--url=http://h//p")
    env = {"T": "${TOKEN}", "K": "${input:key}", "N": "7", "Z": "${Z:-1}"}
    assert found.servers == {"a": Server(command="run", args=args, env=env)}
    assert found.notes == [
        "a: ignored envFile.",
        "a: ${input:key} means nothing here; set it in the config file.",
        "Its `inputs` are not asked for: put such values into variables, as ${NAME}.",
    ]


def test_what_cannot_be_used_is_left_out_with_a_note(tmp_path: Path) -> None:
    servers = {
        "sse": {"type": "sse", "url": "https://x/sse"},
        "both": {"command": "x", "url": "https://x"},
        "none": {},
        "list": ["x"],
        "off": {"command": "x", "disabled": True, "timeout": 90_000, "autoApprove": ["a"]},
        "bad": {"command": "x", "args": "not a list"},
    }
    found = read(write(tmp_path / "f.json", {"mcpServers": servers}), "h", "mcpServers")
    assert list(found.servers) == ["both", "off"]
    assert found.servers["off"] == Server(command="x", disabled=True, call_timeout_s=90)
    assert len(found.notes) == 5


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', '{"mcpServers": []}', "[" * 100_000, "\x00"])
def test_a_broken_file_gives_no_server_and_no_exception(tmp_path: Path, content: str) -> None:
    found = read(write(tmp_path / "f.json", content), "h", "mcpServers")
    assert found.servers == {}
    (tmp_path / "g.json").write_bytes(b"\xff\xfe\x00")
    assert read(tmp_path / "g.json", "h", "mcpServers") == Imported(
        "h", "g.json", notes=["It cannot be read: UnicodeDecodeError. It has to be JSON in UTF-8."]
    )
