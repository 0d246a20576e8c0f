"""An entry goes into a host's file and comes out again; whatever else stands there stays as it was."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mcp_llm.errors import InvalidInput
from mcp_llm.hosts import entry, jsonc
from mcp_llm.hosts.install import BACKUP, BOM, Done, found, install, remove
from mcp_llm.hosts.known import Place, installable

SAMPLES = Path(__file__).parent / "samples"
STARTED = ("/opt/mcp llm/bin/mcp-llm", ["serve"])
PLACES = {ident: host.config for ident, host in installable().items() if host.config is not None}
CURSOR = PLACES["cursor"]


def fields(place: Place, **env: str) -> dict[str, Any]:
    return entry.entry(place, STARTED, env)


def sample(ident: str, tmp_path: Path) -> Path:
    source = next(SAMPLES.glob(f"{ident}.*"))
    file = tmp_path / source.name
    file.write_bytes(source.read_bytes())
    return file


def read(place: Place, data: bytes) -> Any:
    text = data.removeprefix(BOM).decode()
    return tomllib.loads(text) if place.kind == "toml" else jsonc.parse(text)


def lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


@pytest.mark.parametrize(("ident", "place"), PLACES.items(), ids=PLACES)
def test_every_host_gets_the_entry_and_keeps_the_rest(ident: str, place: Place, tmp_path: Path) -> None:
    file = sample(ident, tmp_path)
    before = file.read_bytes()
    wanted = fields(place, MCP_LLM_HOME="/home/ana/llm")
    done = install(place, file, "mcp-llm", wanted)
    after = file.read_bytes()
    expected = read(place, before)
    expected[place.key]["mcp-llm"] = wanted
    assert done == Done("added", file, file.with_name(file.name + BACKUP))
    assert read(place, after) == expected
    assert file.with_name(file.name + BACKUP).read_bytes() == before
    # Taken away from the new file, what was added leaves the old one: not a byte of it moved.
    assert b"".join(lines(after)) != before
    assert _is_subsequence(before, after)
    assert install(place, file, "mcp-llm", wanted) == Done("none", file)
    assert remove(place, file, "mcp-llm").change == "removed"
    if ident != "gemini":  # its table was written on one line, because it was empty
        assert file.read_bytes() == before
    assert read(place, file.read_bytes()) == read(place, before)
    assert remove(place, file, "mcp-llm") == Done("none", file)


def _is_subsequence(small: bytes, large: bytes) -> bool:
    rest = iter(large)
    return all(byte in rest for byte in small)


@pytest.mark.parametrize(("ident", "place"), PLACES.items(), ids=PLACES)
def test_a_host_without_a_file_gets_one_that_it_can_read(ident: str, place: Place, tmp_path: Path) -> None:
    file = tmp_path / "made" / "later"
    wanted = fields(place)
    assert install(place, file, "mcp-llm", wanted) == Done("added", file)
    assert read(place, file.read_bytes()) == {place.key: {"mcp-llm": wanted}}
    assert [path.name for path in file.parent.iterdir()] == ["later"]
    assert found(place, file, "mcp-llm") == wanted


@pytest.mark.parametrize("ident", ["vscode", "codex"])
def test_an_entry_of_ours_is_renewed_and_keeps_what_the_user_added_to_it(ident: str, tmp_path: Path) -> None:
    place, file = PLACES[ident], tmp_path / "config"
    own = {
        "command": "uvx",
        "args": ["mcp-llm"],
        "disabled": True,
        "env": {"OPENAI_API_KEY": "k", "MCP_LLM_HOME": "/old"},
    }
    text = entry.snippet(place, "mcp-llm", own)
    file.write_text(text if place.kind == "toml" else text.replace('"disabled": true,', '"disabled": true, // for now'))
    done = install(place, file, "mcp-llm", fields(place, MCP_LLM_HOME="/new"))
    wanted = {**own, **fields(place), "env": {"OPENAI_API_KEY": "k", "MCP_LLM_HOME": "/new"}}
    assert (done.change, found(place, file, "mcp-llm")) == ("updated", wanted)
    assert place.kind == "toml" or "// for now" in file.read_text()


def test_another_program_of_that_name_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text('{"mcpServers": {"mcp-llm": {"command": "other"}}}')
    with pytest.raises(InvalidInput, match="starts something else: give --name another"):
        install(CURSOR, file, "mcp-llm", fields(CURSOR))
    with pytest.raises(InvalidInput, match="starts something else: it stays"):
        remove(CURSOR, file, "mcp-llm")
    assert install(CURSOR, file, "llms", fields(CURSOR)).change == "added"
    assert json.loads(file.read_text())["mcpServers"] == {"mcp-llm": {"command": "other"}, "llms": fields(CURSOR)}


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        ("json", b'{"mcpServers": {', "line 1 is no JSON"),
        ("json", b"[]", "holds no object"),
        ("json", b'{"a": ' + b"1" * 5000 + b"}", "a number with too many digits"),
        ("json", b'{"mcpServers": []}', "`mcpServers` in the host's file is no table"),
        ("json", '{"name": "é"}'.encode("latin-1"), "is not UTF-8"),
        ("json", '{"a": 1}'.encode("utf-16"), "is not UTF-8"),
        ("toml", b"mcp_servers = { docs = { command = 'x' } }\n", "in a way that cannot be changed safely"),
        ("toml", b"a = = 1\n", "is no TOML"),
        ("toml", b"a = " + b"1" * 5000, "is no TOML"),
    ],
)
def test_a_file_that_cannot_be_changed_safely_stays_as_it_is(kind: str, data: bytes, told: str, tmp_path: Path) -> None:
    place = PLACES["codex"] if kind == "toml" else CURSOR
    file = tmp_path / "config"
    file.write_bytes(data)
    with pytest.raises(InvalidInput, match=told):
        install(place, file, "mcp-llm", fields(place))
    assert (file.read_bytes(), [path.name for path in tmp_path.iterdir()]) == (data, ["config"])


def test_a_link_stays_a_link_and_the_mode_is_kept(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "mcp.json"
    real.parent.mkdir()
    real.write_text("{}")
    real.chmod(0o640)
    link = tmp_path / "mcp.json"
    link.symlink_to(real)
    done = install(CURSOR, link, "mcp-llm", fields(CURSOR))
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert done.backup == real.with_name("mcp.json" + BACKUP)
    assert stat.S_IMODE(done.backup.stat().st_mode) == 0o640
    assert found(CURSOR, link, "mcp-llm") == fields(CURSOR)


def test_a_read_only_file_is_somebody_elses_to_change(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}")
    file.chmod(0o444)
    with pytest.raises(InvalidInput, match="may not be written to"):
        install(CURSOR, file, "mcp-llm", fields(CURSOR))
    assert file.read_text() == "{}"


@pytest.mark.parametrize("what", ["folder", "circle"])
def test_what_is_no_file_is_told(what: str, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    if what == "folder":
        file.mkdir()
    else:
        file.symlink_to(file)
    with pytest.raises(InvalidInput, match=r"is no file|cannot be read"):
        install(CURSOR, file, "mcp-llm", fields(CURSOR))


def test_a_file_that_changes_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}")
    replace = os.replace

    def first(source: str, target: Path) -> None:
        replace(source, target)
        if target.name.endswith(BACKUP):
            file.write_text('{"by": "the host"}')

    monkeypatch.setattr(os, "replace", first)
    with pytest.raises(InvalidInput, match="was changed by something else just now: try again"):
        install(CURSOR, file, "mcp-llm", fields(CURSOR))
    assert file.read_text() == '{"by": "the host"}'


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ({"command": "/opt/x/bin/mcp-llm", "args": ["serve"]}, True),
        ({"command": "C:\\Tools\\mcp-llm.exe"}, True),
        ({"command": "uvx", "args": ["mcp-llm@0.2", "serve"]}, True),
        ({"command": "python", "args": ["-m", "mcp_llm", "serve"]}, True),
        ({"command": "npx", "args": ["mcp-llm-gateway"]}, False),
        ({"url": "https://example.com/mcp"}, False),
        (None, False),
    ],
)
def test_an_entry_is_ours_by_what_it_starts(given: object, ours: bool) -> None:
    assert entry.is_ours(given) is ours
