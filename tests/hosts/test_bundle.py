"""What registries, Claude Desktop and container builds read says what the package is."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client

from mcp_llm import config
from mcp_llm.config import load

PROJECT = Path(__file__).parents[2]
PACKAGE = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NO_KEY = {"MCP_LLM_MODEL", "MCP_LLM_DAY_USD", "MCP_LLM_ROOTS"}


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PROJECT / name).read_text(encoding="utf-8"))
    return found


def _key_names() -> set[str]:
    folder = files("mcp_llm.catalog") / "providers"
    vendors = [tomllib.loads(one.read_text(encoding="utf-8")) for one in folder.iterdir() if one.name.endswith(".toml")]
    return {name for vendor in vendors for name in vendor.get("auth", {}).get("env", ())}


def test_the_bundle_and_the_registry_entry_carry_the_packages_name_version_and_license() -> None:
    manifest, entry = _read("manifest.json"), _read("server.json")
    package = entry["packages"][0]
    assert {manifest["version"], entry["version"], package["version"]} == {PACKAGE["version"]}
    assert {manifest["name"], package["identifier"], entry["name"].partition("/")[2]} == {PACKAGE["name"]}
    assert manifest["license"] == PACKAGE["license"]
    assert manifest["compatibility"]["runtimes"]["python"] == PACKAGE["requires-python"]


def test_the_readme_claims_the_registry_entry_because_the_registry_asks_it() -> None:
    assert f"<!-- mcp-name: {_read('server.json')['name']} -->" in (PROJECT / "README.md").read_text(encoding="utf-8")


def test_every_variable_is_a_vendors_key_or_a_setting_and_both_files_offer_the_same() -> None:
    manifest, entry = _read("manifest.json"), _read("server.json")
    offered = manifest["server"]["mcp_config"]["env"]
    declared = {one["name"]: one.get("isSecret", False) for one in entry["packages"][0]["environmentVariables"]}
    assert set(offered) == set(declared)
    assert set(offered) - NO_KEY <= _key_names()
    assert {name for name, secret in declared.items() if not secret} == NO_KEY


def test_every_key_field_is_secret_and_no_field_has_to_be_filled() -> None:
    manifest = _read("manifest.json")
    fields = manifest["user_config"]
    env = manifest["server"]["mcp_config"]["env"]
    assert sorted(env.values()) == sorted(f"${{user_config.{name}}}" for name in fields)
    secret = {name for name, given in env.items() if fields[given[len("${user_config.") : -1]].get("sensitive")}
    assert secret == set(env) - NO_KEY
    assert [field["required"] for field in fields.values()] == [False] * len(fields)


@pytest.mark.parametrize("left", ["", None], ids=["empty", "as it stands in the manifest"])
def test_fields_that_a_user_left_open_set_nothing(left: str | None, tmp_path: Path) -> None:
    env = _read("manifest.json")["server"]["mcp_config"]["env"]
    given = {name: field if left is None else left for name, field in env.items()}
    home = {"MCP_LLM_HOME": str(tmp_path)}
    bare, opened = (load(environment=one, working_folder=tmp_path) for one in (home, {**home, **given}))
    assert opened.settings == bare.settings
    assert opened.problems == bare.problems == []
    assert opened.key(sorted(set(env) - NO_KEY)) is None
    assert config.placeholder("${user_config.openai}")


def test_the_container_copies_what_the_build_needs_and_runs_as_nobody() -> None:
    lines = (PROJECT / "Containerfile").read_text(encoding="utf-8").splitlines()
    copied = [word for line in lines if line.startswith("COPY") and "--from" not in line for word in line.split()[1:-1]]
    assert [name for name in copied if not (PROJECT / name).exists()] == []
    assert {"pyproject.toml", PACKAGE["readme"], *PACKAGE["license-files"], "mcp_llm", "prompts"} <= set(copied)
    assert [line for line in lines if re.match("USER|ENTRYPOINT|CMD|VOLUME", line)] == [
        "USER mcp-llm",
        "VOLUME /data",
        'ENTRYPOINT ["mcp-llm"]',
        'CMD ["serve"]',
    ]


@pytest.mark.anyio
async def test_an_unpacked_bundle_starts_as_claude_desktop_starts_it_with_the_tools_it_names(tmp_path: Path) -> None:
    bundle = os.environ.get("MCP_LLM_BUNDLE")
    if bundle is None:
        pytest.skip("MCP_LLM_BUNDLE names no unpacked bundle; `.ci/bundle` makes one and runs this")
    manifest = json.loads((Path(bundle) / "manifest.json").read_text(encoding="utf-8"))
    started = manifest["server"]["mcp_config"]
    machine = {name: value for name, value in os.environ.items() if re.match("PATH$|PIP_|UV_|SSL_CERT_", name)}
    server = StdioServerParameters(
        command=shutil.which(started["command"]) or started["command"],
        args=[word.replace("${__dirname}", bundle) for word in started["args"]],
        env={**machine, "HOME": str(tmp_path), **started["env"]},
    )
    async with Client(stdio_client(server)) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        said = await client.call_tool("generate", {"prompt": "Hello", "model": "demo"})
    assert sorted(tools) == sorted(tool["name"] for tool in manifest["tools"])
    assert said.is_error is False
