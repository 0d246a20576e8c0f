"""Many calls over two providers that fail now and then: all are served, and nothing is left of any."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import anyio
import pytest
from faults.server import FaultServer
from load.measured import SETTINGS, in_a_row
from load.provider import WORDS, faulty, provided
from load.watched import held

from mcp_llm import config
from mcp_llm.app import open_app
from mcp_llm.llm.generate import Ask, generate

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


def test_a_server_whose_providers_fail_now_and_then_serves_all_and_holds_no_more_than_before() -> None:
    row = in_a_row("stdio", 300)
    unserved = [answer.text for answer in row.answers if not answer.served]
    assert unserved == []
    assert row.after.files <= row.before.files
    assert row.after.sockets <= row.before.sockets
    assert row.after.threads <= row.before.threads
    assert row.after.children == 0


async def test_no_task_and_no_file_is_left_of_calls_whose_providers_fail(home: Path) -> None:
    answered: list[str] = []
    with FaultServer(scripts={"a": faulty(0.2, 1), "b": faulty(0.0, 2)}) as provider:
        provided(home, provider.url, {"a": "a", "b": "b"}, SETTINGS.replace("= 2\n", "= 0.3\n"))
        async with open_app(config.load()) as app, anyio.create_task_group() as tasks:

            async def some(count: int) -> None:
                for _ in range(count):
                    answer = await generate(app, Ask(prompt="hi"))
                    answered.append(answer.response)

            async with anyio.create_task_group() as first:  # what is opened once is open by then
                for _ in range(10):
                    first.start_soon(some, 3)
            before = await left()
            async with anyio.create_task_group() as rest:
                for _ in range(10):
                    rest.start_soon(some, 15)
            assert await left() == before
            tasks.cancel_scope.cancel()
    assert answered == [WORDS] * 180


async def left() -> tuple[int, int]:
    """(tasks, files that are no sockets) of this process."""
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
    return len(anyio.get_running_tasks()), held(os.getpid()).files - held(os.getpid()).sockets
