"""One prompt to one model: what goes out, what is refused before it costs anything, answers in a shape, the result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from faults.asking import ask, failing, rows
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import Busy, InvalidInput, SchemaMismatch, TooLarge, Unsupported
from mcp_llm.llm.generate import MAX_PROMPT, Ask, generate
from mcp_llm.types.message import Media, ToolCall, ToolResult, assistant, user

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faults.asking import Asking

    from mcp_llm.types.chat import Chunk

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
PICTURE = Media("image/png", data="iVBORw0KGgo=")


def says(text: str) -> Reply:
    return ok("openai", text=text, stream=True)


def whole(text: str, finish: str) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return Reply(body=json.dumps({"choices": [choice]}).encode())


def body(server: FaultServer, index: int = 0) -> dict[str, Any]:
    found = json.loads(server.requests[index].body)
    assert isinstance(found, dict)
    return found


# What goes out


async def test_nothing_is_sent_that_was_not_said(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            await ask(service, model)
    sent = body(server)
    assert {name: sent[name] for name in ("model", "messages", "stream")} == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }
    assert sent.keys() - {"stream_options"} == {"model", "messages", "stream"}


async def test_options_go_into_the_body_last_and_nowhere_else(asking: Asking) -> None:
    options = {"temperature": 0.9, "made_up": {"a": [1]}, "headers": {"Authorization": "Bearer x"}}
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            await ask(service, model, temperature=0.1, options=options)
    sent = body(server)
    assert {name: sent[name] for name in options} == options
    assert server.requests[0].headers["authorization"] != "Bearer x"


async def test_a_lone_surrogate_becomes_a_replacement_character(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            await ask(service, model, prompt="x\ud800y", system="s\udc00t", messages=[user("a\udfffb")])
    server.requests[0].body.decode("utf-8")
    texts = [message["content"] for message in body(server)["messages"]]
    assert len(texts) == 3
    assert all(text[0] + text[-1] in {"xy", "st", "ab"} for text in texts)
    assert not any("\ud800" <= char <= "\udfff" for text in texts for char in text)


async def test_a_context_is_a_label_and_is_kept_cut(asking: Asking) -> None:
    context = 'a\n{"ts":0,"cost":-100}\n' + "x" * 1000
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            await ask(service, model, context=context)
            found = await service.runs.store.query("SELECT count(*), max(length(context)) FROM ledger")
    assert b"cost" not in server.requests[0].body
    assert found[0][0] == 1
    assert found[0][1] <= 300


# What is refused before the call


@pytest.mark.parametrize(
    ("words", "kind", "told"),
    [
        ({"prompt": ""}, InvalidInput, "`prompt` is empty"),
        ({"prompt": " \n\t\u00a0"}, InvalidInput, "`prompt` is empty"),
        ({"prompt": []}, InvalidInput, "`prompt` is empty"),
        ({"prompt": ["", " "]}, InvalidInput, "`prompt` is empty"),
        ({"prompt": "x" * (MAX_PROMPT + 1)}, TooLarge, "the cap is 4,194,304"),
        ({"system": "x" * (MAX_PROMPT + 1)}, TooLarge, "the cap is 4,194,304"),
        ({"prompt": [PICTURE, "what is it?"]}, Unsupported, "acme:m cannot read images; it reads text"),
        ({"messages": [user(PICTURE)]}, Unsupported, "list_models shows which"),
        ({"max_tokens": 0}, InvalidInput, "`max_tokens` is 0"),
        ({"max_tokens": -1}, InvalidInput, "`max_tokens` is -1"),
        ({"timeout_s": 0}, InvalidInput, "`timeout_s` is 0"),
        ({"timeout_s": -1}, InvalidInput, "`timeout_s` is -1"),
        ({"timeout_s": float("nan")}, InvalidInput, "`timeout_s` is nan"),
        ({"timeout_s": float("inf")}, InvalidInput, "`timeout_s` is inf"),
        ({"budget_usd": -0.1}, InvalidInput, "`budget_usd` is -0.1"),
        ({"budget_usd": float("nan")}, InvalidInput, "`budget_usd` is nan"),
        ({"model": "acme:m\r\nX-Evil: 1"}, InvalidInput, "control characters"),
        ({"model": " "}, InvalidInput, "`model` is empty"),
        ({"model": "m" * 300}, InvalidInput, "too long"),
        ({"thread": "nobody's"}, InvalidInput, "there is no thread"),
        ({"options": {"x": float("nan")}}, InvalidInput, "no JSON"),
        ({"json_schema": {"$ref": "http://127.0.0.1:9/s.json"}}, InvalidInput, "nothing is fetched"),
        ({"json_schema": {"type": "objekt"}}, InvalidInput, "json_schema is wrong at #/type"),
    ],
)
async def test_what_cannot_work_is_refused_and_nobody_is_asked(
    asking: Asking, words: dict[str, Any], kind: type[Exception], told: str
) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url, "[models.m]\nreads = []\n")
        async with asking.open() as service:
            error = await failing(service, **{"model": model, **words})
            found = await rows(service)
    assert type(error) is kind
    assert told in str(error)
    assert (server.requests, found) == ([], [])


async def test_a_schema_too_deep_is_refused_at_once(asking: Asking) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(900):
        schema = {"type": "object", "properties": {"a": schema}}
    async with asking.open() as service:
        started = time.perf_counter()
        error = await failing(service, "demo", json_schema=schema)
        assert time.perf_counter() - started < 0.5
    assert isinstance(error, TooLarge)


async def test_one_call_too_many_is_busy_at_once(asking: Asking) -> None:
    with FaultServer([Reply(hang="headers")]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(max_calls=1) as service, anyio.create_task_group() as tasks:
            tasks.start_soon(generate, service, Ask("hi", model))
            await anyio.to_thread.run_sync(server.wait_request)
            started = time.monotonic()
            error = await failing(service, model)
            assert time.monotonic() - started < 0.1
            tasks.cancel_scope.cancel()
    assert isinstance(error, Busy)
    assert error.retry_after == 1.0


# Answers in a shape


@pytest.mark.parametrize(
    "text",
    ['{"a":1}', ' {"a": 1}\n', '```json\n{"a": 1}\n```', 'Here it is:\n```\n{"a": 1}\n```\nBye', '{"a": 1,}'],
)
async def test_an_answer_in_the_wanted_shape_is_parsed(asking: Asking, text: str) -> None:
    with FaultServer([says(text)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model, json_schema=SCHEMA)
    assert (answer.parsed, answer.response, len(server.requests)) == ({"a": 1}, text, 1)


async def test_an_answer_in_another_shape_is_repaired_once_by_its_own_model(asking: Asking) -> None:
    with FaultServer([says('{"a": "one"}'), says('{"a": 1}')]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model, json_schema=SCHEMA)
            found = await rows(service)
            run = await service.runs.result(answer.run_id, "local")
    assert (answer.parsed, answer.response) == ({"a": 1}, '{"a": 1}')
    assert (answer.usage.input, answer.usage.output) == (6, 4)  # of both turns
    assert answer.warnings == (
        "the first answer did not fit the schema and was repaired: $.a: 'one' is not of type 'integer'",
    )
    messages = body(server, 1)["messages"]
    assert [message["role"] for message in messages if message["role"] != "system"] == ["user", "assistant", "user"]
    assert messages[-2]["content"] == '{"a": "one"}'
    assert "$.a: 'one' is not of type 'integer'" in messages[-1]["content"]
    assert found == [("acme", "ok")] * 2
    assert run is not None
    assert (run["status"], run["result"]["parsed"]) == ("finished", {"a": 1})


async def test_an_answer_that_no_repair_mends_is_an_error_that_keeps_the_words(asking: Asking) -> None:
    with FaultServer([says("no"), says("still no")]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model, json_schema=SCHEMA)
            found = await rows(service)
    assert isinstance(error, SchemaMismatch)
    assert error.text == "still no"
    assert "also after one repair" in str(error)
    assert "The answer was: still no" in str(error)
    assert (len(server.requests), found) == (2, [("acme", "ok")] * 2)


async def test_an_answer_that_was_cut_off_is_not_asked_for_again(asking: Asking) -> None:
    with FaultServer([whole('{"a": ', "length")]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model, json_schema=SCHEMA)
    assert isinstance(error, SchemaMismatch)
    assert "raise `max_tokens`" in str(error)
    assert (error.text, len(server.requests)) == ('{"a": ', 1)


async def test_any_object_will_do_where_no_schema_is_given(asking: Asking) -> None:
    with FaultServer([says("[1]"), says('{"b": 2}')]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model, json_output=True)
    assert (answer.parsed, len(server.requests)) == ({"b": 2}, 2)


async def test_a_pattern_that_would_run_for_ever_is_skipped_and_told(asking: Asking) -> None:
    schema = {"type": "object", "properties": {"s": {"type": "string", "pattern": "^(a+)+$"}}}
    with FaultServer([says(json.dumps({"s": "a" * 32 + "!"}))]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            started = time.monotonic()
            answer = await ask(service, model, json_schema=schema)
            assert time.monotonic() - started < 3
    assert answer.parsed == {"s": "a" * 32 + "!"}
    assert any("was skipped" in words for words in answer.warnings)


# The result


async def test_the_result_says_who_answered_and_is_kept(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model)
            kept = await service.runs.result(answer.run_id, "local")
            foreign = await service.runs.result(answer.run_id, "bob")
    assert (answer.model, answer.model_used, answer.provider) == ("acme:m", "test-model", "acme")
    assert (answer.finish_reason, answer.finish_reason_raw, answer.request_id) == ("stop", "stop", "chatcmpl-1")
    assert answer.latency_ms is not None
    assert answer.first_token_ms is not None
    assert answer.first_token_ms <= answer.latency_ms
    assert f"run {answer.run_id}" in answer.receipt
    assert kept is not None
    assert kept["result"]["response"] == "Hello there"
    assert foreign is None


async def test_a_history_with_tool_results_needs_no_prompt(asking: Asking) -> None:
    history = [user("look"), assistant(ToolCall("1", "look", "{}")), user(ToolResult("1", "look", ()))]
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model, prompt="", messages=history)
    assert answer.response == "Hello there"
    assert [message["role"] for message in body(server)["messages"]] == ["user", "assistant", "tool"]


async def test_a_listener_that_fails_ends_the_call_and_closes_the_way_to_the_provider(asking: Asking) -> None:
    async def on_chunks(_: Sequence[Chunk]) -> None:
        raise ZeroDivisionError

    with FaultServer([Reply(headers=OK.headers, body=OK.body, framing="chunked", hang=len(OK.body) // 2)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            started = time.monotonic()
            with pytest.raises(ZeroDivisionError):
                await generate(service, Ask("hi", model), on_chunks=on_chunks)
            assert await anyio.to_thread.run_sync(server.wait_closed) - started < 1
            assert await rows(service) == [("acme", "cancelled")]


ON_A_FULL_DISK = """
import resource, sys, anyio
from pathlib import Path
from faults.asking import Asking, ask
from faults.replies import ok
from faults.server import FaultServer

async def main():
    asking = Asking(Path(sys.argv[1]))
    with FaultServer([ok("openai", stream=True)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            print((await ask(service, model)).response)
            await service.runs.store.flush()
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))  # not a byte more goes into any file
            for _ in range(3):
                print((await ask(service, model)).response)
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            await service.runs.store.flush()
            print(await service.runs.store.query("SELECT count(*) FROM ledger"))
anyio.run(main)
"""


async def test_a_plain_call_goes_on_while_the_disk_is_full_and_its_row_comes_later(home: Path) -> None:
    pytest.importorskip("resource")
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join([str(tests), str(tests.parent)])
    command = [sys.executable, "-c", ON_A_FULL_DISK, str(home)]
    done = await anyio.run_process(command, env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.STDOUT)
    assert done.stdout.decode().splitlines() == [*["Hello there"] * 4, "[(4,)]"]


async def test_what_was_found_and_how_likely_the_tokens_were_reaches_the_caller(asking: Asking) -> None:
    likely = {"content": [{"token": "Hi", "logprob": -0.5}]}
    message = {"role": "assistant", "content": "Hi"}
    told = {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": likely}],
        "citations": ["https://a.example"],
        "search_results": [{"title": "A"}],
    }
    with FaultServer([Reply(body=json.dumps(told).encode())]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model, options={"logprobs": True})
    assert body(server)["logprobs"] is True
    assert (answer.citations, answer.search_results, answer.logprobs) == (
        ["https://a.example"],
        [{"title": "A"}],
        likely,
    )
