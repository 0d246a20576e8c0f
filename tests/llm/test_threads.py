"""Conversations that are stored: everything that was said goes out again, and only to whom it belongs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from faults.asking import ask, failing
from faults.replies import ok
from faults.server import FaultServer, Reply

from mcp_llm.errors import InvalidInput
from mcp_llm.types.message import Text, assistant, user

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)


def said(server: FaultServer, index: int) -> list[tuple[str, Any]]:
    messages = json.loads(server.requests[index].body)["messages"]
    return [(message["role"], message["content"]) for message in messages]


async def test_a_thread_goes_on_in_the_next_call_and_in_the_next_process(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            first = await ask(service, model, prompt="one", thread="new")
            second = await ask(service, model, prompt="two", thread=first.thread)
        async with asking.open() as service:
            await ask(service, model, prompt="three", thread=first.thread)
            await ask(service, model, prompt="alone")
    assert first.thread
    assert second.thread == first.thread
    there = ("assistant", "Hello there")
    assert said(server, 2) == [("user", "one"), there, ("user", "two"), there, ("user", "three")]
    assert said(server, 3) == [("user", "alone")]


async def test_messages_that_came_with_the_first_call_stay_in_the_thread(asking: Asking) -> None:
    before = [user("my name is Ada"), assistant("Hello Ada")]
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            first = await ask(service, model, prompt="one", messages=before, thread="new")
            await ask(service, model, prompt="two", thread=first.thread)
    assert said(server, 1) == [
        ("user", "my name is Ada"),
        ("assistant", "Hello Ada"),
        ("user", "one"),
        ("assistant", "Hello there"),
        ("user", "two"),
    ]


async def test_a_call_that_fails_leaves_the_thread_as_it_was(asking: Asking) -> None:
    with FaultServer([OK, Reply(status=400, body=b"{}"), OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            first = await ask(service, model, prompt="one", thread="new")
            await failing(service, model, prompt="bad", thread=first.thread)
            await ask(service, model, prompt="two", thread=first.thread)
    assert said(server, 2) == [("user", "one"), ("assistant", "Hello there"), ("user", "two")]


async def test_somebody_elses_thread_is_as_unknown_as_one_that_never_was(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            mine = await ask(service, model, thread="new", principal="ada")
            theirs = await failing(service, model, thread=mine.thread, principal="bob")
            nobodys = await failing(service, model, thread="f" * 32, principal="bob")
    assert mine.thread is not None
    assert isinstance(theirs, InvalidInput)
    assert str(theirs).replace(mine.thread, "") == str(nobodys).replace("f" * 32, "")
    assert len(server.requests) == 1


async def test_what_no_utf8_can_hold_does_not_lose_the_answer(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            first = await ask(service, model, prompt=["x\ud800y", Text("a\udfffb")], thread="new")
            await ask(service, model, prompt="two", thread=first.thread)
    assert "\ufffd" in json.dumps(said(server, 1), ensure_ascii=False) or "?" in str(said(server, 1))
    assert len(said(server, 1)) == 3


async def test_line_separators_come_back_as_they_were(asking: Asking) -> None:
    prompt = "a\u2028b\u2029c\u0085d\u202eevil\u200b"
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            first = await ask(service, model, prompt=prompt, thread="new")
            await ask(service, model, prompt="two", thread=first.thread)
    assert said(server, 0)[0] == said(server, 1)[0] == ("user", prompt)


async def test_an_answer_is_not_lost_over_a_thread_that_cannot_be_written(asking: Asking) -> None:
    with FaultServer([OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            await service.runs.store.execute("ALTER TABLE thread_messages RENAME TO gone")
            made = await ask(service, model, thread="new")
            kept = await service.runs.result(made.run_id, "local")
    assert (made.response, made.thread) == ("Hello there", None)
    assert any(words.startswith("this turn is not in the thread") for words in made.warnings)
    assert kept is not None
    assert kept["status"] == "finished"
