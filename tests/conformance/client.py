"""Our MCP client as the suite's command under test: `client.py URL`, told what to do by the suite's own variables.

It goes the way an agent's tools go: a server of the settings, opened by `open_servers`, called through its Group.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import anyio
import anyio.to_thread
from mcp.shared.auth import AuthorizationCodeResult

from mcp_llm.settings import Server, SignIn
from mcp_llm.toolsets.connect import open_servers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.toolsets.compose import Group

NAME: Final = "s"
PREFIX: Final = f"{NAME}__"
KINDS: Final[dict[object, Any]] = {"string": "x", "integer": 0, "number": 0, "boolean": False, "object": {}}


def context() -> dict[str, Any]:
    """What the suite says beside the URL."""
    told: dict[str, Any] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    return told


async def add(group: Group) -> None:
    """The one tool of several scenarios."""
    await group.call(f"{PREFIX}add_numbers", {"a": 5, "b": 3})


async def everything(group: Group) -> None:
    """Every tool that is offered, with the least arguments it takes."""
    for tool in await group.list():
        schema = tool.spec.parameters
        fields = schema.get("properties", {})
        await group.call(tool.name, {name: KINDS[fields[name].get("type")] for name in schema.get("required", [])})


async def given(group: Group) -> None:
    """The calls that the suite wants, where their tools are offered."""
    offered = {tool.name for tool in await group.list()}
    for call in context()["toolCalls"]:
        if (name := PREFIX + call["name"]) in offered:
            await group.call(name, call.get("arguments") or {})


async def echo(group: Group) -> None:
    """Send a schema back as we have it, so that the suite sees what got lost."""
    schemas = {tool.name: tool.spec.parameters for tool in await group.list()}
    schema = schemas[f"{PREFIX}json_schema_2020_12_tool"]
    await group.call(f"{PREFIX}json_schema_echo", {"schema": schema})


SCENARIOS: Final[dict[str, Callable[[Group], Awaitable[None]]]] = {
    "tools_call": add,
    "request-metadata": add,
    "http-standard-headers": add,
    "http-custom-headers": given,
    "json-schema-2020-12-preservation": echo,
}
"""What is done besides connecting and listing; `everything` where nothing is said."""


class Browser:
    """A person who agrees to everything at once."""

    redirect = "http://127.0.0.1:3000/callback"

    def __init__(self) -> None:
        self._back: dict[str, str] = {}

    async def show(self, url: str) -> None:
        def ask() -> str:
            with build_opener(Still()).open(url, timeout=20) as reply:
                return str(reply.headers["location"])

        location = await anyio.to_thread.run_sync(ask)
        self._back = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

    async def answer(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(
            code=self._back["code"], state=self._back.get("state"), iss=self._back.get("iss")
        )


class Still(HTTPRedirectHandler):
    """Shows where a page sends its reader, and stays."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        return fp

    http_error_303 = http_error_307 = http_error_302


def signing(url: str, scenario: str) -> SignIn | None:
    """What the user would have set up for a scenario."""
    if not scenario.startswith("auth/"):
        return None
    told = context()
    if "client-credentials" in scenario:
        parts = urlsplit(url)
        metadata = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"
        with build_opener().open(metadata, timeout=20) as reply:
            issuer = json.load(reply)["authorization_servers"][0]
        keys = {"private_key": "${KEY}"} if "private_key_pem" in told else {"client_secret": "${SECRET}"}
        more = {"algorithm": told["signing_algorithm"]} if "signing_algorithm" in told else {}
        given = {"grant": "client_credentials", "client_id": told["client_id"], "issuer": issuer, **keys, **more}
        return SignIn.model_validate(given)
    given = {"client_metadata_url": "https://conformance-test.local/client-metadata.json"}
    if "client_id" in told:
        given["client_id"] = told["client_id"]
    if told.get("client_secret"):
        given["client_secret"] = "${SECRET}"
    return SignIn.model_validate(given)


async def main(url: str, scenario: str) -> int:
    told = context()
    secrets = {"KEY": told.get("private_key_pem"), "SECRET": told.get("client_secret")}
    server = Server(url=url, oauth=signing(url, scenario), start_timeout_s=80)  # all scenarios run at once
    async with open_servers([NAME], {NAME: server}, secrets.get, person=Browser() if server.oauth else None) as group:
        if group.errors:
            print(group.errors[NAME], file=sys.stderr)
            return 1
        for tool in await group.list():
            print(tool.name)
        await SCENARIOS.get(scenario, everything)(group)
    return 0


if __name__ == "__main__":
    sys.exit(anyio.run(main, sys.argv[1], os.environ.get("MCP_CONFORMANCE_SCENARIO", "")))
