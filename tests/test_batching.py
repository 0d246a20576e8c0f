"""`Batch` from Python: with a loop and without, added to while it is drained, ended early."""

from __future__ import annotations

import threading

import anyio
import pytest

import mcp_llm
from mcp_llm import Batch, BatchRequest
from mcp_llm.background import background
from mcp_llm.errors import Error, InvalidInput


@pytest.fixture(autouse=True)
def _bare(home: object) -> object:
    yield
    background.close()


def said(request: BatchRequest) -> str:
    return (request.response or "").rpartition(": ")[2]


def test_requests_come_back_as_they_end_with_their_receipts() -> None:
    batch = Batch(max_concurrent=2)
    first = batch.create("one", model="demo", tag=1)
    batch.add(BatchRequest("two", "demo", {"max_output_tokens": 3}, tag=2))
    wrong = batch.create("three", model="nobody:nothing", tag=3)
    assert len(batch) == 3
    found = {request.tag: request for request in batch.drain()}
    assert sorted(found) == [1, 2, 3]
    assert (said(first), first.model_used, first.error) == ("one", "demo", None)
    assert found[2].result is not None
    assert found[2].result.finish_reason == "length"
    assert isinstance(wrong.error, Error)
    assert (wrong.response, wrong.model_used) == (None, None)
    assert all(request.duration is not None for request in found.values())
    assert (len(batch), list(batch.drain())) == (0, [])


@pytest.mark.anyio
async def test_in_async_code_requests_may_be_added_while_others_are_drained() -> None:
    with anyio.fail_after(60):
        async with Batch() as batch:
            for number in range(20):
                batch.create(str(number), model="demo")
            words = []
            async for request in batch.drain_batch():
                words.append(said(request))
                if len(words) == 5:
                    batch.create("late", model="demo")
    assert sorted(words) == sorted([*map(str, range(20)), "late"])


def test_no_more_run_at_once_than_was_said() -> None:
    class Gate:
        """A provider in code that lets nobody out before three are inside, and counts who is."""

        def __init__(self) -> None:
            self.inside = 0
            self.most = 0
            self.full = anyio.Event()

        async def completion(self, prompt: str, model: str, **_: object) -> str:
            self.inside += 1
            self.most = max(self.most, self.inside)
            if self.inside == 3:
                self.full.set()
            await self.full.wait()
            await anyio.lowlevel.checkpoint()
            self.inside -= 1
            return "done"

    gate = Gate()
    mcp_llm.register_provider("gatekeeper", gate)
    batch = Batch(max_concurrent=3)
    for _ in range(12):
        batch.create("x", model="gatekeeper:m")
    assert [request.response for request in batch.drain()] == ["done"] * 12
    assert gate.most == 3


def test_closing_ends_what_is_under_way_and_whoever_waits() -> None:
    started = threading.Event()

    class Stuck:
        async def completion(self, prompt: str, model: str, **_: object) -> str:
            started.set()
            await anyio.sleep_forever()
            return ""

    mcp_llm.register_provider("stuck", Stuck())
    batch = Batch()
    batch.create("x", model="stuck:m")
    assert started.wait(60)
    waiting = threading.Thread(target=lambda: list(batch.drain()))
    waiting.start()
    batch.close()
    waiting.join(60)
    assert not waiting.is_alive()
    batch.create("y", model="demo")
    assert [said(request) for request in batch.drain()] == ["y"]


def test_what_had_ended_before_it_was_closed_is_not_taken_for_what_is_added_after() -> None:
    batch = Batch(max_concurrent=1)
    before = [batch.create(text, model="demo") for text in ("one", "two")]
    assert next(iter(batch.drain())) is before[0]  # with one at a time, the second is ending or has ended
    while before[1].duration is None:
        threading.Event().wait(0.001)
    batch.close()
    after = batch.create("three", model="demo")
    assert (list(batch.drain()), len(batch)) == ([after], 0)


@pytest.mark.parametrize("drainers", [2, 5])
def test_several_threads_drain_one_batch_and_none_waits_for_ever(drainers: int) -> None:
    batch = Batch()
    for _ in range(2):  # again, when all was handed out once
        found: list[str] = []
        for number in range(4):
            batch.create(str(number), model="demo")
        threads = [
            threading.Thread(target=lambda: found.extend(map(said, batch.drain())), daemon=True)  # noqa: B023 - ends here
            for _ in range(drainers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        assert (sorted(found), len(batch)) == (["0", "1", "2", "3"], 0)


@pytest.mark.anyio
async def test_several_tasks_drain_one_batch_and_none_waits_for_ever() -> None:
    batch, found = Batch(), list[str]()

    async def drain() -> None:
        found.extend([said(request) async for request in batch.drain()])

    for number in range(3):
        batch.create(str(number), model="demo")
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(drain)
    assert sorted(found) == ["0", "1", "2"]


@pytest.mark.parametrize("wrong", [0, -1, 257])
def test_a_wrong_number_is_told(wrong: int) -> None:
    with pytest.raises(InvalidInput, match="has to be from 1 to 256"):
        Batch(wrong)


def test_a_request_is_added_once() -> None:
    batch = Batch()
    request = batch.create("x", model="demo")
    with pytest.raises(InvalidInput, match="was added before"):
        batch.add(request)
    list(batch.drain())
    with pytest.raises(InvalidInput, match="was added before"):
        batch.add(request)
