"""What lives as long as the server: no fault of one watch or one call takes the others with it, and nothing grows."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client
from mcp.types import Implementation

from mcp_llm.errors import ConfigError, Error
from mcp_llm.llm.progress import Progress
from mcp_llm.server import clients
from mcp_llm.server.life import Heart, Life
from mcp_llm.server.steady import steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio


@dataclass
class Beaten:
    """A call's context, of which the heart wants only this."""

    then: Callable[[], Awaitable[None]]
    beats: list[float] = field(default_factory=list)
    thrice: anyio.Event = field(default_factory=anyio.Event)

    async def report_progress(self, count: float, total: float | None = None, message: str | None = None) -> None:
        self.beats.append(count)
        if len(self.beats) == 3:
            self.thrice.set()
        await self.then()


async def fails() -> None:
    raise RuntimeError("no such stream")


async def test_clients_that_do_not_read_hold_up_nobodys_heart_and_one_that_fails_is_left_out() -> None:
    heart = Heart(first=0.01, beat=0.01)
    stuck: Any = [Beaten(anyio.sleep_forever) for _ in range(50)]
    broken: Any = Beaten(fails)
    well: Any = Beaten(anyio.lowlevel.checkpoint)
    for one in (*stuck, broken, well):
        heart.start(one, Progress(), 100)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heart.run)
        with anyio.fail_after(20):
            await well.thrice.wait()
        tasks.cancel_scope.cancel()
    assert broken.beats == [1]
    assert all(one.beats[:1] == [1] for one in stuck)


async def test_a_fault_is_told_and_the_work_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    begun: list[int] = []

    async def work() -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            raise KeyError("an unforeseen row")

    with anyio.fail_after(20), caplog.at_level(logging.ERROR):
        await steady("looking", work, again=0.001)
    assert begun == [0, 1, 2]
    assert [record.getMessage() for record in caplog.records] == ["looking failed and begins anew in 0 s"] * 2


async def test_a_service_that_cannot_be_opened_is_told_without_the_faults_words_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service: Any = object()
    left: list[Exception] = [OSError("/home/ada/state.db"), ConfigError("mend the prices")]

    def opened() -> Any:
        if left:
            raise left.pop(0)
        return service

    nothing: Any = None
    life = Life(opened, nothing, nothing, nothing)
    with pytest.raises(Error, match=r"failed \(OSError\) as it opened its state; its log on stderr") as told:
        _ = life.service
    assert "ada" not in str(told.value)
    assert [record.exc_info is not None for record in caplog.records] == [True]
    with pytest.raises(ConfigError, match="mend the prices"):
        _ = life.service
    assert (life.service, life.service) == (service, service)


async def test_of_hosts_that_make_up_ever_new_names_only_so_many_are_remembered(server: Any, opened: Any) -> None:
    kept = 0
    for number in range(clients.KEPT + 5):  # each is a server of its own over one database
        info = Implementation(name=f"host-{number}", version="1")
        async with Client(server, client_info=info) as host:
            await host.call_tool("runs", {"action": "list"})
            [(kept,)] = await opened[0].store.query("SELECT count(*) FROM clients")
    assert kept == clients.KEPT
