"""Model servers on this machine: found where the user or the catalog says, never mistaken for another program."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from faults.asking import ask, failing
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import Denied, Garbled, ProviderError
from mcp_llm.llm.listing import list_models

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio

TAGS = {"models": [{"name": "nomic-embed-text:latest"}, {"name": "llama3.2:3b"}]}
LIST = {"object": "list", "data": [{"id": "qwen3-8b", "object": "model"}]}
NOBODY = "127.0.0.1:9"
AWAY = dict.fromkeys(("LMSTUDIO_BASE_URL", "LLAMACPP_BASE_URL", "VLLM_BASE_URL"), f"http://{NOBODY}/v1")


def reply(value: Any, **more: Any) -> Reply:
    return Reply(body=value if isinstance(value, bytes) else json.dumps(value).encode(), **more)


def alone(asking: Asking, **environment: str) -> None:
    """No server of this machine is found but the one under test."""
    asking.environment |= {"OLLAMA_HOST": NOBODY, **AWAY, **environment}


async def test_an_ollama_under_its_own_variable_answers_where_no_model_is_named(asking: Asking) -> None:
    with FaultServer([reply(TAGS), ok("ollama", stream=True)]) as server:
        alone(asking, OLLAMA_HOST=f"127.0.0.1:{server.port}")
        async with asking.open(discover=True) as service:
            answer = await ask(service)
    assert (answer.provider, answer.response, answer.cost.source) == ("ollama", "Hello there", "local")
    assert answer.model_used is not None
    assert [request.target for request in server.requests] == ["/api/tags", "/api/chat"]
    assert json.loads(server.requests[1].body)["model"] == "llama3.2:3b"


async def test_what_has_to_stay_here_does_not_go_to_a_local_server_that_is_in_the_cloud(asking: Asking) -> None:
    alone(asking, OLLAMA_HOST="https://ollama.provider.invalid.com")
    async with asking.open(contexts={"diary": {"local_only": True}}) as service:
        with pytest.raises(Denied, match="'ollama:m' means ollama, which is not on this machine"):
            await ask(service, "ollama:m", context="diary")


@pytest.mark.parametrize("provider", ["vllm", "lmstudio", "llamacpp"])
async def test_a_compatible_server_under_its_base_url_answers(asking: Asking, provider: str) -> None:
    with FaultServer([reply(LIST), ok("openai", stream=True)]) as server:
        alone(asking, **{f"{provider.upper()}_BASE_URL": f"{server.url}/v1"})
        async with asking.open(discover=True) as service:
            answer = await ask(service)
            again = await ask(service, provider)
    assert [one.provider for one in (answer, again)] == [provider, provider]
    assert server.requests[0].target.startswith("/v1/models")
    assert [json.loads(request.body)["model"] for request in server.requests[1:]] == ["qwen3-8b", "qwen3-8b"]


@pytest.mark.parametrize(
    "found",
    [
        reply(b"<html>Jenkins</html>", headers={"content-type": "text/html"}),
        reply({"status": "up"}),
        reply([1, 2]),
        reply({"data": 7}),
        reply({"data": [{"what": 1}]}),
        reply({"data": [None]}),
        reply(7),
        reply(None),
        reply(b"["),
        reply(b"[" * 100_000),
        reply({"data": []}),
        reply({"error": "not found"}, status=404),
        reply({}, status=500),
        Reply(raw=b"220 mail ready\r\n", body=b"", framing="none"),
        Reply(reset="headers"),
    ],
)
async def test_another_program_on_the_port_is_not_taken_for_one(asking: Asking, found: Reply) -> None:
    with FaultServer([found]) as server:
        alone(asking, VLLM_BASE_URL=f"{server.url}/v1", OLLAMA_HOST=server.url)
        async with asking.open(discover=True) as service:
            assert [one.provider_id for one in await service.available()] == ["demo"]
            assert (await ask(service)).provider == "demo"
    assert {request.method for request in server.requests} <= {"GET"}


async def test_a_port_that_never_answers_costs_a_second_and_no_more(asking: Asking) -> None:
    with FaultServer([Reply(hang="headers")]) as server:
        alone(asking, VLLM_BASE_URL=f"{server.url}/v1", OLLAMA_HOST=server.url)
        async with asking.open(discover=True) as service:
            started = time.monotonic()
            assert (await ask(service)).provider == "demo"
            assert time.monotonic() - started < 2


@pytest.mark.parametrize("value", ["http://exa mple", "ftp://x", "http://192.0.2.1:11434", "::::", "http://a@b"])
async def test_a_broken_address_of_one_server_hides_no_other(asking: Asking, value: str) -> None:
    with FaultServer([reply(LIST), ok("openai", stream=True)]) as server:
        alone(asking, OLLAMA_HOST=value, VLLM_BASE_URL=f"{server.url}/v1")
        async with asking.open(discover=True) as service:
            assert (await ask(service)).provider == "vllm"


async def test_what_was_found_is_remembered_and_not_looked_for_every_time(asking: Asking) -> None:
    with FaultServer([reply(LIST), ok("openai", stream=True)]) as server:
        alone(asking, VLLM_BASE_URL=f"{server.url}/v1")
        async with asking.open(discover=True) as service:
            for _ in range(5):
                await ask(service)
    assert [request.method for request in server.requests] == ["GET", *["POST"] * 5]


async def test_nobody_is_looked_for_when_that_is_switched_off(asking: Asking) -> None:
    with FaultServer([reply(TAGS)]) as server:
        alone(asking, OLLAMA_HOST=server.url)
        async with asking.open(discover=False) as service:
            assert (await ask(service)).provider == "demo"
    assert server.connections == 0


async def test_a_model_list_that_is_none_is_told_as_that(asking: Asking) -> None:
    with FaultServer([reply({"data": 7}), reply(b"<html>")]) as server:
        asking.provider("acme", server.url)
        async with asking.open() as service:
            for _ in range(2):
                with pytest.raises(ProviderError) as caught:
                    await service.models.of("acme")
                assert isinstance(caught.value, Garbled)
                assert caught.value.provider == "acme"


@pytest.mark.parametrize("model", ["ollama:pro", "ollama", "ollama:llama3"])
async def test_a_server_that_is_not_running_is_named_with_its_address(asking: Asking, model: str) -> None:
    alone(asking)
    async with asking.open(discover=True) as service:
        error = await failing(service, model)
    assert str(error).endswith(f"ollama does not answer at {NOBODY}: start it, then ask again")
    assert asking.waits == []


FACTS = {"general.architecture": "llama", "llama.context_length": 131_072}


@pytest.mark.parametrize(
    ("abilities", "told"),
    [
        (["completion", "vision"], [("ollama:llama3.2:3b", ("streaming", "json"), ("image",), 131_072)]),
        (["embedding"], []),
    ],
)
async def test_a_model_of_an_ollama_says_itself_what_it_can_and_how_much_it_reads(
    asking: Asking, abilities: list[str], told: list[Any]
) -> None:
    shown = reply({"capabilities": abilities, "model_info": FACTS})
    tags = reply({"models": [{"name": "llama3.2:3b"}]})
    with FaultServer([tags, tags, shown]) as server:  # looked for, then asked
        alone(asking, OLLAMA_HOST=f"127.0.0.1:{server.port}")
        async with asking.open(discover=True) as service:
            found = await list_models(service, provider="ollama")
    assert [(row.model, row.can, row.reads, row.context) for row in found.models] == told
    assert [request.target for request in server.requests] == ["/api/tags", "/api/tags", "/api/show"]
    assert json.loads(server.requests[2].body) == {"model": "llama3.2:3b"}


async def test_a_model_that_does_not_tell_about_itself_is_listed_all_the_same(asking: Asking) -> None:
    with FaultServer([reply(TAGS), reply(TAGS), reply({"model_info": 7}), reply({}, status=500)]) as server:
        alone(asking, OLLAMA_HOST=f"127.0.0.1:{server.port}")
        async with asking.open(discover=True) as service:
            found = await list_models(service, provider="ollama")
    assert [row.model for row in found.models] == ["ollama:nomic-embed-text:latest", "ollama:llama3.2:3b"]
