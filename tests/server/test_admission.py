"""Who is let in over stdio: so many calls, so many bytes, and none while answers are not read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp.types import JSONRPCNotification, JSONRPCRequest

from mcp_llm.server import admission as module
from mcp_llm.server.admission import Admission


def call(number: int | str, method: str = "tools/call", **params: Any) -> JSONRPCRequest:
    return JSONRPCRequest(jsonrpc="2.0", id=number, method=method, params=params)


def cancelled(number: int | str) -> JSONRPCNotification:
    return JSONRPCNotification(jsonrpc="2.0", method="notifications/cancelled", params={"requestId": number})


def words(line: bytes | None) -> str:
    assert line is not None
    said: str = json.loads(line)["result"]["structuredContent"]["error"]
    return said


def test_a_call_counts_until_it_is_answered_or_cancelled_by_whichever_form_of_its_id() -> None:
    admission = Admission(2)
    assert admission.refused(call(1), 10) is None
    assert admission.refused(call("a"), 10) is None
    assert words(admission.refused(call(3), 10)) == "2 calls are in flight; try again in a second"
    admission.done("a")
    assert admission.refused(call(4), 10) is None
    assert admission.refused(cancelled("1"), 10) is None
    assert admission.refused(call(5), 10) is None
    assert admission.refused(call(6), 10) is not None


@pytest.mark.parametrize("method", ["initialize", "ping", "server/discover", "subscriptions/listen"])
def test_what_is_no_work_is_always_let_in(method: str) -> None:
    admission = Admission(1)
    admission.refused(call(1), 10)
    admission.unread = module.UNREAD + 1
    assert admission.refused(call(2, method), 10) is None
    assert admission.stopped(call(2, method)) is None


def test_calls_may_not_be_more_bytes_together_than_is_meant_to_be_held() -> None:
    admission = Admission(10)
    assert admission.refused(call(1), module.ASKED) is None
    assert words(admission.refused(call(2), 1)) == "calls of 128 MiB are in flight; try again in a second"
    admission.done(1)
    assert admission.refused(call(2), 1) is None


def test_while_answers_are_not_read_no_call_is_let_in_and_none_that_was_begins() -> None:
    admission = Admission(1)
    assert admission.refused(call(1), 10) is None
    admission.unread = module.UNREAD + 1
    assert "have not been read" in words(admission.stopped(call(1)))
    assert "have not been read" in words(admission.refused(call(2), 10))
    admission.unread = 0
    assert admission.refused(call(3), 10) is None
    assert admission.stopped(call(3)) is None


def test_a_call_of_2026_07_28_is_told_in_its_form() -> None:
    admission = Admission(0)
    told = admission.refused(call(1, _meta={"io.modelcontextprotocol/protocolVersion": "2026-07-28"}), 1)
    assert told is not None
    assert json.loads(told)["result"]["resultType"] == "complete"
