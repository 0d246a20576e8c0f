"""More calls than there is room for, and a client that does not read: all are served or told, memory has an end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import pytest
from abuse import corpus
from faults.server import FaultServer, Reply
from load.crowd import TRANSPORTS, Stdio, crowd
from load.provider import WORDS, many_files, provided, providing, slow
from load.watched import held

if TYPE_CHECKING:
    from pathlib import Path

    from load.crowd import Crowd

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="reads /proc")

ASKED = {"prompt": "hi", "model": "gate:m", "wait_s": 600}
MIB = 1024 * 1024


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_f26_at_once_as_many_as_there_is_room_for_are_served_and_the_others_told_before_any_answer(
    tmp_path: Path, transport: str
) -> None:
    with FaultServer([slow(3.0)]) as provider:
        provided(tmp_path, provider.url, {"gate": ""}, "max_calls = 60\n")
        with crowd(transport, tmp_path) as client:
            for _ in range(120):
                client.call("generate", ASKED)
            answers = client.all(60)
            again = client.ask("generate", ASKED)
    assert [answer.served for answer in answers].count(True) == 60
    told = [answer for answer in answers if answer.busy]
    assert len(told) == 60
    assert {answer.retry_after for answer in told} == {1.0}
    assert all("60 calls are in flight" in answer.text for answer in told)
    assert answers[:60] == told  # nobody waits for those that are served
    assert again.served


def test_sts_007_over_stdio_a_tool_is_told_that_there_is_no_room_as_its_result_and_others_as_an_error(
    tmp_path: Path,
) -> None:
    with FaultServer([Reply(hang="headers")]) as provider:
        provided(tmp_path, provider.url, {"gate": ""}, "max_calls = 1\n")
        with crowd("stdio", tmp_path) as client:
            first = client.call("generate", ASKED)
            provider.wait_request(30)
            busy = client.ask("generate", ASKED)
            client.wire.put({"jsonrpc": "2.0", "id": 77, "method": "tools/list"})
            client.sent[77] = 0
            client.wire.put({"jsonrpc": "2.0", "id": 78, "method": "ping"})
            client.sent[78] = 0
            while 77 in client.sent or 78 in client.sent:
                client.read(30)
            listed, pinged = sorted(client.answers[-2:], key=lambda answer: answer.number)
            client.cancel(first)  # makes room
            provider.wait_closed(30)
            assert client.ask("list_models", {}).served
    words = "1 calls are in flight; try again in a second"
    assert busy.result == {
        "content": [{"type": "text", "text": words}],
        "structuredContent": {"error": words, "retry_after_s": 1},
        "isError": True,
    }
    assert (listed.result, listed.error, listed.retry_after) == (None, words, 1)
    assert (pinged.result, pinged.error) == ({}, "")


def test_sts_007_a_client_that_does_not_read_costs_little_and_its_cancellations_are_heard(tmp_path: Path) -> None:
    assert corpus.case("STS-007").fault == {"stdout": "not read"}
    many_files()
    big = {"prompt": "hi", "model": "big:m", "wait_s": 600}
    with providing("slow", "0", "50000") as url, FaultServer([Reply(hang="headers")]) as hanging:
        provided(tmp_path, url, {"big": ""})
        (tmp_path / "providers" / "gate.toml").write_text(
            (tmp_path / "providers" / "big.toml").read_text().replace(url, hanging.url)
        )
        with crowd("stdio", tmp_path) as client:
            assert len(client.ask("generate", big).text) > 50_000
            before = held(client.pid)
            wire = deaf(client)
            waiting = client.call("generate", ASKED)
            hanging.wait_request(30)
            numbers = [client.call("generate", big) for _ in range(1500)]
            while wire.push():
                client.read(0.05)
            client.cancel(waiting)
            hanging.wait_closed(30)
            grown = held(client.pid).peak - before.peak
            wire.deaf = False
            answers = client.all(60)
            assert client.ask("generate", big).served
    found = {answer.number for answer in answers} & set(numbers)
    assert found == set(numbers)  # each was answered or told, once
    told = [answer for answer in answers if answer.busy]
    assert len(told) > 500
    assert all(answer.served or answer.busy for answer in answers)
    assert grown < 256  # a thousand answers of 100 KB and what made them; the five hundred that were told cost nothing


def deaf(client: Crowd) -> Stdio:
    """From now on the client reads nothing."""
    wire = cast("Stdio", client.wire)
    wire.deaf = True
    return wire


def test_sts_007_nothing_is_read_any_more_when_even_the_refusals_are_not_taken(tmp_path: Path) -> None:
    with FaultServer([Reply(hang="headers")]) as provider:
        provided(tmp_path, provider.url, {"gate": ""}, "max_calls = 1\n")
        with crowd("stdio", tmp_path) as client:
            client.call("generate", ASKED)
            provider.wait_request(30)
            before, wire = held(client.pid), deaf(client)
            calls = 0
            while wire.push() < MIB:  # the pipe is full, and stays so
                client.call("generate", ASKED)
                calls += 1
                if calls % 500 == 0:
                    client.read(0.05)
            client.read(0.5)
            assert wire.push() >= MIB
            assert held(client.pid).peak - before.peak < 48
            wire.deaf = False
            told: list[Any] = []
            while len(told) < calls:
                told += client.read(30) or []
    assert all(answer.busy for answer in told)


def test_sts_003_a_line_of_64_mib_is_refused_with_little_memory_and_the_next_request_works(tmp_path: Path) -> None:
    line = corpus.expand(corpus.case("STS-003").input)
    assert len(line) == 64 * MIB
    with crowd("stdio", tmp_path) as client:
        wire, before = cast("Stdio", client.wire), held(client.pid)
        client.sent[0] = 0  # an error without an id
        wire.raw(line.encode() + b"\n")
        while 0 in client.sent:
            client.read(30)
        refused = client.answers.pop()
        grown = held(client.pid).peak - before.peak
        assert client.ask("generate", {"prompt": "still there?", "model": "demo"}).served
    assert "too long" in refused.error
    assert grown <= 2 * 32


def test_words_of_the_slow_provider_come_whole(tmp_path: Path) -> None:
    with FaultServer([slow(0.05)]) as provider:
        provided(tmp_path, provider.url, {"gate": ""})
        with crowd("http", tmp_path) as client:
            assert client.ask("generate", ASKED).text.startswith(WORDS)
