"""What a 400 teaches: the named parameter is left out once, the call succeeds, and the next process knows."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from faults.asking import ask, failing, rows
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import AuthError, BadRequest, ContextTooLong, Error, Overloaded, Refused
from mcp_llm.llm import learning
from mcp_llm.types.chat import ChatRequest
from mcp_llm.types.message import user

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def bad(message: str, param: str | None = None, status: int = 400) -> Reply:
    error = {"message": message, "type": "invalid_request_error", "param": param}
    return Reply(status=status, body=json.dumps({"error": error}).encode())


def body(server: FaultServer, index: int) -> dict[str, Any]:
    found = json.loads(server.requests[index].body)
    assert isinstance(found, dict)
    return found


async def test_a_parameter_that_a_400_names_is_dropped_once_and_the_answer_says_so(asking: Asking) -> None:
    with FaultServer([bad("Unsupported parameter: 'temperature'", "temperature"), OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model, temperature=0, max_tokens=50)
            found = await rows(service)
    assert answer.response == "Hello there"
    assert answer.warnings == ("`temperature` was refused by acme:m; asked again without it",)
    assert [body(server, index).get("temperature") for index in (0, 1)] == [0, None]
    assert body(server, 1)["max_tokens"] == 50
    assert (asking.waits, found) == ([], [("acme", "bad_request"), ("acme", "ok")])


async def test_what_was_learned_is_known_to_the_next_process(asking: Asking) -> None:
    with FaultServer([bad("Unsupported parameter: 'temperature'", "temperature"), OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            await ask(service, model, temperature=0.5)
            await ask(service, model, temperature=0.5)
        async with asking.open() as service:
            answer = await ask(service, model, temperature=0.5)
            await ask(service, "acme:other", temperature=0.5)
    assert answer.warnings == ("`temperature` was not sent: acme:m does not take it",)
    assert ["temperature" in body(server, index) for index in range(5)] == [True, False, False, False, True]


async def test_what_was_learned_is_tried_again_after_a_month_in_a_long_process_too(asking: Asking) -> None:
    days = 29

    def later() -> float:
        return time.time() + days * 86_400

    with FaultServer([bad("Unsupported parameter: 'temperature'", "temperature"), OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            await ask(service, model, temperature=0.5)
        async with asking.open() as service:
            service.llm.learned.clock = later
            await ask(service, model, temperature=0.5)
            days = 31
            await ask(service, model, temperature=0.5)
    assert ["temperature" in body(server, index) for index in range(4)] == [True, False, False, True]


async def test_two_culprits_cost_two_more_requests_and_no_attempt(asking: Asking) -> None:
    refusals = [bad("Unknown parameter: 'seed'", "seed"), bad("top_p: Extra inputs are not permitted", status=422)]
    with FaultServer([*refusals, OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(retries={"attempts": 1}) as service:
            answer = await ask(service, model, sampling={"seed": 0, "top_p": 0.5})
    assert (answer.response, len(server.requests)) == ("Hello there", 3)
    assert len(answer.warnings) == 2


async def test_a_culprit_that_stays_one_ends_the_call(asking: Asking) -> None:
    with FaultServer([bad("Unsupported parameter: 'temperature'", "temperature")]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model, temperature=0.5)
    assert isinstance(error, BadRequest)
    assert len(server.requests) == 2


async def test_a_value_out_of_range_is_the_callers_mistake_and_teaches_nothing(asking: Asking) -> None:
    with FaultServer([bad("Invalid 'temperature': expected a value <= 2, but got 3", "temperature"), OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model, temperature=3)
            await ask(service, model, temperature=1)
    assert "expected a value <= 2" in str(error)
    assert body(server, 1)["temperature"] == 1


async def test_one_schemas_fault_is_not_held_against_the_next_schema(asking: Asking) -> None:
    json_answer = ok("openai", text='{"a":1}', stream=True)
    quirk = '[quirks.chat]\njson_schema = "plain"\n'
    refusal = bad("Invalid schema for response_format 'answer': keyword 'x' is not permitted", "response_format")
    with FaultServer([refusal, json_answer]) as server:
        model = asking.provider("acme", server.url, quirk)
        async with asking.open() as service:
            answer = await ask(service, model, json_schema=SCHEMA)
            await ask(service, model, json_schema=SCHEMA)
    kinds = [body(server, index).get("response_format", {}).get("type") for index in range(3)]
    assert answer.parsed == {"a": 1}
    assert kinds[0] == kinds[2] == "json_schema"
    assert kinds[1] != "json_schema"


async def test_a_provider_that_cannot_stream_is_asked_for_the_whole_answer(asking: Asking) -> None:
    with FaultServer([bad("'stream' is not supported by this model", "stream"), ok("openai")]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model)
            await ask(service, model)
    assert answer.response == "Hello there"
    assert [body(server, index).get("stream", False) for index in range(3)] == [True, False, False]


def request(**fields: Any) -> ChatRequest:
    return ChatRequest(messages=(user("hi"),), **fields)


@pytest.mark.parametrize(
    ("error", "fields", "field"),
    [
        (BadRequest("no", status=400, param="temperature"), {"temperature": 0.5}, "temperature"),
        (BadRequest("no", status=400, param="temperature"), {"temperature": 0.0}, "temperature"),
        (BadRequest("no", status=400, param="temperature"), {}, None),
        (BadRequest("Unrecognized request argument: seed", status=400), {"seed": 0}, "seed"),
        (BadRequest("`top_k` is not supported", status=422), {"top_k": 5, "top_p": 0.1}, "top_k"),
        (BadRequest("reasoning_effort: Extra inputs are not permitted", status=400), {"effort": "low"}, "effort"),
        (BadRequest("thinking is not supported", status=400), {"effort": "low"}, "effort"),
        (BadRequest("unsupported: thinkingBudget", status=400), {"thinking_budget": 0}, "thinking_budget"),
        (BadRequest("generationConfig.topK is not supported", status=400), {"top_k": 1}, "top_k"),
        (BadRequest("x", status=400, param="response_format"), {"json_schema": SCHEMA}, "json_schema"),
        (BadRequest("x", status=400, param="stop"), {"stop": ("a",)}, "stop"),
        (BadRequest("x", status=400, param="messages"), {"temperature": 0.5}, None),
        (BadRequest("unknown field stream_options", status=400), {}, "stream_options"),
        (BadRequest("unknown field stream_options", status=400), {"stream": False}, None),
        (BadRequest("The temperature outside is fine", status=400), {"temperature": 0.5}, None),
        (BadRequest("temperature must be between 0 and 1", status=400, param="temperature"), {"temperature": 2}, None),
        (BadRequest("x", status=400, param="temperature", code="decimal_above_max_value"), {"temperature": 2}, None),
        (BadRequest("temperature is not supported", status=413), {"temperature": 0.5}, None),
        (ContextTooLong("temperature is not supported", status=400), {"temperature": 0.5}, None),
        (Refused("temperature is not supported", status=400), {"temperature": 0.5}, None),
        (AuthError("temperature is not supported", status=400), {"temperature": 0.5}, None),
        (Overloaded("temperature is not supported", status=500), {"temperature": 0.5}, None),
    ],
)
def test_the_culprit_is_a_field_that_was_set_and_can_be_left_out(
    error: Error, fields: dict[str, Any], field: str | None
) -> None:
    assert learning.culprit(error, request(**fields)) == field


async def test_a_model_that_refused_nothing_leaves_nothing_in_memory(asking: Asking) -> None:
    with FaultServer([ok("openai", stream=True)]) as server:
        asking.provider("acme", server.url)
        async with asking.open() as service:
            for number in range(20):
                await ask(service, f"acme:model-{number}")
            assert service.llm.learned._known == {}
