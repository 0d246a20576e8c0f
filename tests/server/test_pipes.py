"""Lines are the same however the pipe cuts them, one that is too long keeps its beginning, and an end is told once."""

from __future__ import annotations

import os
import sys

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.server import pipes as module
from mcp_llm.server.pipes import Lines, Sink

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="pipes cannot be awaited there"),
]


@given(st.lists(st.binary(max_size=8)), st.data())
def test_cutting_the_bytes_anywhere_changes_nothing(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"\n".join(pieces)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))))
    taken: list[bytes] = []
    lines = Lines(taken.append, lambda: None)
    for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        lines.data_received(whole[start:stop])
    lines.eof_received()
    wanted = whole.split(b"\n")
    assert taken == (wanted if wanted[-1] else wanted[:-1])


def test_a_line_that_is_too_long_is_its_beginning_and_the_next_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE", 100)
    monkeypatch.setattr(module, "SHOWN", 10)
    taken: list[bytes] = []
    lines = Lines(taken.append, lambda: None)
    for _ in range(5):
        lines.data_received(b"x" * 50)
    lines.data_received(b"y\nnext\n" + b"z" * 90)
    lines.data_received(b"z" * 10 + b"\n")
    assert taken == [b"x" * 10 + b" ...", b"next", b"z" * 100]


async def test_a_reader_that_is_paused_is_given_nothing_until_it_goes_on_and_hears_of_the_end_once() -> None:
    out, into = os.pipe()
    taken: list[bytes] = []
    ended: list[int] = []
    lines = Lines(taken.append, lambda: ended.append(1))
    await lines.open(out)
    lines.pause()
    os.write(into, b"one\ntwo")
    os.close(into)
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    assert taken == []
    lines.resume()
    with anyio.fail_after(5):
        while not ended:
            await anyio.lowlevel.checkpoint()
    lines.close()
    assert (taken, ended) == ([b"one", b"two"], [1])


async def test_a_writer_waits_for_whoever_reads_and_is_told_when_nobody_does() -> None:
    out, into = os.pipe()
    os.set_blocking(out, False)
    drained: list[int] = []
    sink = Sink(lambda: drained.append(1))
    await sink.open(into)
    line = b"x" * 200_000 + b"\n"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sink.write, line)
        await anyio.lowlevel.checkpoint()
        assert sink.waiting > 0
        sink.put(b"after\n")
        read = b""
        with anyio.fail_after(5):
            while not read.endswith(b"after\n"):
                await anyio.wait_readable(out)
                read += os.read(out, 1 << 16)
    assert (read, sink.waiting, drained) == (line + b"after\n", 0, [1])
    os.close(out)
    with anyio.fail_after(5), pytest.raises(anyio.BrokenResourceError):
        await writing(sink, line)
    sink.close()


async def writing(sink: Sink, line: bytes) -> None:
    while True:
        await sink.write(line)
