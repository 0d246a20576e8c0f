"""No key, a wrong key, a broken .env: the variable is named, nobody is asked in vain, other providers still answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faults.asking import CANARY, ask, failing, rows
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import AuthError, ConfigError, MissingKey

if TYPE_CHECKING:
    from pathlib import Path

    from faults.asking import Asking

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)
NEEDED = '[auth]\nenv = ["ACME_SECRET_KEY"]\nrequired = true\nurl = "https://acme.invalid/keys"\n'


@pytest.mark.parametrize("value", [None, "", "  ", "not-set", "None", "changeme", "sk-...", "sk-ant-YOUR-KEY", "<key>"])
async def test_without_a_key_nothing_is_sent_and_the_variable_is_named(asking: Asking, value: str | None) -> None:
    with FaultServer(scripts={"acme": [OK], "backup": [OK]}) as server:
        model = asking.provider("acme", f"{server.url}/acme", NEEDED, key=None)
        other = asking.provider("backup", f"{server.url}/backup")
        if value is not None:
            asking.environment["ACME_SECRET_KEY"] = value
        async with asking.open() as service:
            error = await failing(service, model)
            found = await rows(service)
            answer = await ask(service, other)
    assert isinstance(error, MissingKey)
    assert str(error).startswith("ACME_SECRET_KEY or ACME_API_KEY is not set, so acme cannot be asked.")
    assert "https://acme.invalid/keys" in str(error)
    assert (server.count("acme"), found) == (0, [])
    assert answer.response == "Hello there"


async def test_a_key_travels_in_the_headers_of_the_variable_that_it_stands_in(asking: Asking) -> None:
    two = (
        '[auth]\nenv = ["ACME_SECRET_KEY", "ACME_TOKEN"]\nheaders = { x-api-key = "{key}" }\n'
        'headers_of = { ACME_TOKEN = { Authorization = "Bearer {key}" } }\n'
    )
    sent = []
    for variable in ("ACME_SECRET_KEY", "ACME_TOKEN"):
        with FaultServer([OK]) as server:
            model = asking.provider("acme", server.url, two, key=None)
            asking.environment = {"MCP_LLM_HOME": str(asking.home), variable: CANARY}
            async with asking.open() as service:
                await ask(service, model)
        sent.append({name: server.requests[0].headers.get(name) for name in ("x-api-key", "authorization")})
    assert sent == [
        {"x-api-key": CANARY, "authorization": None},
        {"x-api-key": None, "authorization": f"Bearer {CANARY}"},
    ]


async def test_a_wrong_key_is_tried_once_and_said_to_be_which(asking: Asking, home: Path) -> None:
    body = b'{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}'
    with FaultServer([Reply(status=401, body=body)]) as server:
        model = asking.provider("acme", server.url, NEEDED, key=None)
        (home / ".env").write_text(f"ACME_SECRET_KEY={CANARY}\n")
        async with asking.open() as service:
            error = await failing(service, model)
        (home / ".env").unlink()
    assert isinstance(error, AuthError)
    assert str(error) == (
        "acme:m HTTP 401: Incorrect API key provided. The key is ACME_SECRET_KEY from .env in the config folder "
        f"(sk-…{CANARY[-4:]}): replace it; keys are made at https://acme.invalid/keys."
    )
    assert len(server.requests) == 1


async def test_a_provider_that_wants_a_key_after_all_names_the_variable(asking: Asking) -> None:
    with FaultServer([Reply(status=401, body=b'{"error":{"message":"who are you"}}')]) as server:
        model = asking.provider("acme", server.url, "[auth]\nrequired = false\n", key=None)
        async with asking.open() as service:
            errors = [await failing(service, model)]
            with pytest.raises(AuthError) as caught:
                await service.models.fetch("acme")
    assert str(errors[0]) == "acme:m HTTP 401: who are you. No key was sent: ACME_API_KEY is not set."
    assert str(caught.value) == "acme HTTP 401: who are you. No key was sent: ACME_API_KEY is not set."


async def test_a_key_with_white_space_inside_is_refused_by_name_and_not_shown(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url, key=f"{CANARY} \n{CANARY}")
        async with asking.open() as service:
            error = await failing(service, model)
    assert isinstance(error, ConfigError)
    assert str(error).startswith("ACME_API_KEY (environment) holds white space")
    assert server.requests == []


async def test_a_broken_line_of_the_env_file_costs_only_itself(asking: Asking, home: Path) -> None:
    with FaultServer(scripts={"acme": [OK], "backup": [OK]}) as server:
        model = asking.provider("acme", f"{server.url}/acme", NEEDED, key=None)
        asking.provider("backup", f"{server.url}/backup", key=None)
        (home / ".env").write_bytes(b"ACME_SECRET_KEY=sk-\xff\xfe\nBACKUP_API_KEY=" + CANARY.encode() + b"\n")
        async with asking.open() as service:
            error = await failing(service, model)
            answer = await ask(service, "backup:m")
            problems = service.config.problems
        (home / ".env").unlink()
    assert isinstance(error, MissingKey)
    assert answer.response == "Hello there"
    assert server.requests[-1].headers["authorization"] == f"Bearer {CANARY}"
    assert problems == [".env in the config folder, line 1: not UTF-8, skipped"]


async def test_a_provider_of_the_fallbacks_without_a_key_is_told_and_passed_over(asking: Asking) -> None:
    with FaultServer(scripts={"acme": [OK], "backup": [OK]}) as server:
        asking.provider("acme", f"{server.url}/acme", NEEDED, key=None)
        asking.provider("backup", f"{server.url}/backup")
        async with asking.open(default="acme:m", fallbacks=["backup:m"]) as service:
            answer = await ask(service)
            found = await rows(service)
    assert (answer.provider, server.count("acme")) == ("backup", 0)
    assert [(one.provider, one.error) for one in answer.fallbacks] == [("acme", "missing_key")]
    assert found == [("backup", "ok")]
