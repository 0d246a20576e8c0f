"""`mcp-llm config`: what is in force, where it is, and a first file."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

SECRET = "abcdefgh-very-secret-value-1234"


def test_init_writes_a_file_that_holds_and_never_overwrites_one(run: Run, home: Path) -> None:
    file = home / "mcp_llm.toml"
    assert run("config", "init").stdout == f"{file}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # Every example is valid once it is uncommented.
    lines = file.read_text().splitlines()
    file.write_text("\n".join(line.removeprefix("# ") if " = " in line or "# [" in line else line for line in lines))
    shown = run("config", "show")
    assert shown.returncode == 0, shown.stderr
    assert 'aliases.fast = "groq:lite"' in shown.stdout
    before = file.read_text()
    assert (run("config", "init").returncode, file.read_text()) == (2, before)


def test_a_file_where_the_folder_has_to_be_is_told_by_all_that_need_it(run: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    there = {"MCP_LLM_HOME": str(tmp_path / "file")}
    init = run("config", "init", **there)
    assert (init.returncode, "a file is where the config folder has to be: move it" in init.stderr) == (2, True)
    found = json.loads(run("doctor", "--json", **there).stdout)["findings"]
    [state] = [(one["text"], one["fix"]) for one in found if one["topic"] == "state"]
    assert state[0].startswith("The state folder is not a folder: remove what is in its place")
    assert state[1] == "do what the sentence says"


def test_show_masks_secrets_and_names_the_layers(run: Run, home: Path) -> None:
    (home / "mcp_llm.toml").write_text(
        '[providers.mine]\nbase_url = "https://llm.example.com/v1"\nwires = { chat = "openai" }\n'
        f'headers = {{ X-Gateway = "{SECRET}", X-Plain = "short" }}\n'
    )
    done = run("config", "show", MCP_LLM_MODEL="demo")
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(" = ", 1) for line in done.stdout.splitlines())
    assert lines["default"] == '"demo"'
    assert lines["providers.mine.headers.X-Gateway"] == '"…1234"'
    assert lines["providers.mine.headers.X-Plain"] == '"…"'
    assert "layer: mcp_llm.toml in the config folder" in done.stderr
    data = run("config", "show", "--json").stdout
    assert SECRET not in data
    assert json.loads(data)["layers"] == ["defaults", "mcp_llm.toml in the config folder"]


def test_a_broken_file_can_still_be_found(run: Run, home: Path) -> None:
    (home / "mcp_llm.toml").write_text("= nothing")
    assert run("config", "path").stdout == f"{home / 'mcp_llm.toml'}\n"
    assert run("config", "show").returncode == 2
