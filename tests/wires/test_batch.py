"""Vendors' batch dialects: what is sent to make one, how it is said to stand, and results matched by key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.errors import AuthError, Garbled, InvalidInput
from mcp_llm.wires import batch
from mcp_llm.wires.base import HttpReply, HttpRequest
from mcp_llm.wires.batch.contract import Entry, Result, State
from mcp_llm.wires.whole import decoded

if TYPE_CHECKING:
    from collections.abc import Generator

ENTRIES = [
    Entry("i0", HttpRequest("POST", "/chat/completions", json={"model": "m", "n": 1}, headers={"x-beta": "b"})),
    Entry("i1", HttpRequest("POST", "/chat/completions", json={"model": "m", "n": 2})),
]


def reply(data: Any) -> HttpReply:
    return HttpReply(200, {}, json.dumps(data).encode())


def submitted(name: str, *replies: Any) -> tuple[list[HttpRequest], State]:
    """(what was asked for, what came of it) when these replies are given in order."""
    wire = batch.wire(name)
    steps: Generator[HttpRequest, HttpReply, State] = wire.submit(ENTRIES, "m", wire.Quirks())
    sent = [next(steps), *(steps.send(reply(data)) for data in replies[:-1])]
    with pytest.raises(StopIteration) as end:
        steps.send(reply(replies[-1]))
    return sent, end.value.value


def read(name: str, data: Any, *, lines: bool = True) -> list[Result]:
    body = "".join(json.dumps(one) + "\n" for one in data).encode() if lines else json.dumps(data).encode()
    return list(batch.wire(name).results(HttpReply(200, {}, body)))


def test_openai_uploads_lines_and_makes_a_batch_of_them() -> None:
    sent, state = submitted("openai", {"id": "file-1"}, {"id": "batch_1", "status": "validating"})
    assert sent[0].form is not None
    purpose, file = sent[0].form
    assert (sent[0].path, purpose.name, purpose.value, file.filename) == ("/files", "purpose", "batch", "batch.jsonl")
    assert isinstance(file.value, bytes)
    assert [json.loads(line) for line in file.value.splitlines()] == [
        {"custom_id": f"i{at}", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "n": at + 1}}
        for at in (0, 1)
    ]
    assert (sent[1].path, sent[1].json) == (
        "/batches",
        {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"},
    )
    assert state == State("batch_1", "running")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {"id": "b", "status": "in_progress", "request_counts": {"total": 9, "completed": 3, "failed": 1}},
            State("b", "running", done=4, total=9),
        ),
        (
            {"id": "b", "status": "completed", "output_file_id": "o", "error_file_id": "e"},
            State("b", "ended", places=("o", "e")),
        ),
        (
            {"id": "b", "status": "expired", "output_file_id": "o", "error_file_id": None},
            State("b", "expired", places=("o",)),
        ),
        (
            {"id": "b", "status": "failed", "errors": {"data": [{"message": "line 1 is bad"}]}},
            State("b", "failed", message="line 1 is bad"),
        ),
    ],
)
def test_openai_says_how_it_stands(data: Any, expected: State) -> None:
    wire = batch.wire("openai")
    assert wire.state(reply(data)) == expected
    assert [one.path for one in wire.reading(expected, wire.Quirks())] == [
        f"/files/{place}/content" for place in expected.places
    ]


@pytest.mark.parametrize(
    "broken", [b'{"custom_id": "i1", "resp', b"[]", b'{"custom_id": "i1"}', b'{"result": {}}', b"\xff"]
)
@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("openai", {"custom_id": "i0", "response": {"status_code": 200, "body": {"a": 1}}}),
        ("mistral", {"custom_id": "i0", "response": {"status_code": 200, "body": {"a": 1}}}),
        ("anthropic", {"custom_id": "i0", "result": {"type": "succeeded", "message": {"a": 1}}}),
    ],
)
def test_a_line_that_cannot_be_read_costs_only_its_own_result(name: str, good: Any, broken: bytes) -> None:
    wire = batch.wire(name)
    body = b"\n".join([broken, json.dumps(good).encode(), broken])
    assert list(wire.results(HttpReply(200, {}, body))) == [Result("i0", 200, {"a": 1})]
    with pytest.raises(Garbled, match="no result of the batch"):
        decoded(lambda: list(wire.results(HttpReply(200, {}, broken))))
    assert list(wire.results(HttpReply(200, {}, b"\n"))) == []


def test_an_odd_result_of_googles_costs_only_itself() -> None:
    good = {"metadata": {"key": "i0"}, "response": {"a": 1}}
    odd = [{"response": {}}, 5, {"metadata": {"key": "i1"}}]
    data = {"name": "batches/b", "response": {"inlinedResponses": {"inlinedResponses": [*odd, good]}}}
    assert read("gemini", data, lines=False) == [Result("i0", 200, {"a": 1})]


def test_a_status_that_is_none_costs_its_result() -> None:
    lines = [
        {"custom_id": f"i{at}", "response": {"status_code": code, "body": {}}} for at, code in enumerate([200, "x"])
    ]
    assert read("openai", lines) == [Result("i0", 200, {})]


def test_openai_results_have_replies_errors_or_neither() -> None:
    assert read(
        "openai",
        [
            {"custom_id": "i1", "response": {"status_code": 200, "body": {"a": "\u2028"}}, "error": None},
            {"custom_id": "i0", "response": {"status_code": 400, "body": {"error": {"message": "no"}}}},
            {"custom_id": "i2", "response": None, "error": {"code": "batch_expired", "message": "late"}},
        ],
    ) == [
        Result("i1", 200, {"a": "\u2028"}),
        Result("i0", 400, {"error": {"message": "no"}}),
        Result("i2", None, {"error": {"code": "batch_expired", "message": "late"}}),
    ]


@pytest.mark.parametrize("name", ["openai", "mistral"])
def test_a_file_of_requests_is_utf8_and_json_or_is_not_sent(name: str) -> None:
    wire = batch.wire(name)

    def uploaded(options: dict[str, Any]) -> bytes:
        request = HttpRequest("POST", "/chat/completions", json={"model": "m", **options})
        form = next(wire.submit([Entry("i0", request)], "m", wire.Quirks())).form
        assert form is not None
        return b"".join(one.value for one in form if isinstance(one.value, bytes))

    assert json.loads(uploaded({"x": "half \ud83d of \u2028"}))["body"]["x"] == "half \ufffd of \u2028"
    for wrong in (float("nan"), float("inf"), b"bytes"):
        with pytest.raises(InvalidInput, match="a request of the batch is no JSON"):
            uploaded({"x": wrong})


def test_mistral_names_the_model_once_for_the_job() -> None:
    sent, state = submitted("mistral", {"id": "f"}, {"id": "j", "status": "QUEUED", "total_requests": 2})
    assert sent[0].form is not None
    lines = [json.loads(line) for line in bytes(sent[0].form[1].value).splitlines()]  # type: ignore[arg-type]
    assert lines == [{"custom_id": "i0", "body": {"n": 1}}, {"custom_id": "i1", "body": {"n": 2}}]
    assert sent[1].path == "/batch/jobs"
    assert sent[1].once
    assert sent[1].json == {
        "input_files": ["f"],
        "endpoint": "/v1/chat/completions",
        "model": "m",
        "timeout_hours": 24,
    }
    assert state == State("j", "running", total=2)
    done = {"id": "j", "status": "TIMEOUT_EXCEEDED", "output_file": "o", "completed_requests": 1, "total_requests": 2}
    assert batch.wire("mistral").state(reply(done)) == State("j", "expired", done=1, total=2, places=("o",))


def test_anthropic_takes_all_in_one_request_and_gives_four_kinds_of_results() -> None:
    counts = {"processing": 2, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    sent, state = submitted(
        "anthropic", {"id": "msgbatch_1", "processing_status": "in_progress", "request_counts": counts}
    )
    assert (sent[0].path, sent[0].json) == (
        "/v1/messages/batches",
        {"requests": [{"custom_id": f"i{at}", "params": {"model": "m", "n": at + 1}} for at in (0, 1)]},
    )
    assert sent[0].headers == {"anthropic-version": "2026-10-21", "x-beta": "b"}
    assert state == State("msgbatch_1", "running", done=0, total=2)
    ended = batch.wire("anthropic").state(
        reply({"id": "msgbatch_1", "processing_status": "ended", "results_url": "https://elsewhere.invalid/x"})
    )
    (get,) = batch.wire("anthropic").reading(ended, batch.wire("anthropic").Quirks())
    assert get.path == "/v1/messages/batches/msgbatch_1/results"
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
    assert read(
        "anthropic",
        [
            {"custom_id": "i1", "result": {"type": "succeeded", "message": {"id": "msg"}}},
            {"custom_id": "i0", "result": {"type": "errored", "error": error}},
            {"custom_id": "i2", "result": {"type": "expired"}},
        ],
    ) == [
        Result("i1", 200, {"id": "msg"}),
        Result("i0", None, error),
        Result(
            "i2",
            None,
            {
                "error": {
                    "type": "expired",
                    "message": "the batch's 24 hours were over before this request was asked",
                }
            },
        ),
    ]


def test_gemini_takes_and_gives_them_inline() -> None:
    sent, state = submitted("gemini", {"name": "batches/x-1", "metadata": {"state": "BATCH_STATE_PENDING"}})
    assert sent[0].path == "/v1beta/models/m:batchGenerateContent"
    assert sent[0].json is not None
    assert sent[0].json["batch"]["inputConfig"]["requests"]["requests"][1] == {
        "request": {"model": "m", "n": 2},
        "metadata": {"key": "i1"},
    }
    assert state == State("batches/x-1", "running")
    stats = {"requestCount": "3", "successfulRequestCount": "1", "failedRequestCount": "1"}
    inline = [
        {"metadata": {"key": "i1"}, "response": {"candidates": []}},
        {"metadata": {"key": "i0"}, "error": {"code": 3, "message": "no"}},
    ]
    done = {
        "name": "batches/x-1",
        "metadata": {"state": "JOB_STATE_SUCCEEDED", "batchStats": stats},
        "done": True,
        "response": {"inlinedResponses": {"inlinedResponses": inline}},
    }
    wire = batch.wire("gemini")
    ended = wire.state(reply(done))
    assert ended == State("batches/x-1", "ended", done=2, total=3, places=("batches/x-1",))
    assert [one.path for one in wire.reading(ended, wire.Quirks())] == ["/v1beta/batches/x-1"]
    assert read("gemini", done, lines=False) == [
        Result("i1", 200, {"candidates": []}),
        Result("i0", None, {"error": {"code": 3, "message": "no"}}),
    ]
    failed = {"name": "batches/x-1", "metadata": {}, "error": {"code": 13, "message": "ours"}}
    assert wire.state(reply(failed)) == State("batches/x-1", "failed", message="ours")


@pytest.mark.parametrize("wrong", ["../../secret", "batches/../x", "models/x", "batches/", "batches/x?y"])
def test_a_name_that_leads_elsewhere_is_refused(wrong: str) -> None:
    wire = batch.wire("gemini")
    with pytest.raises(ValueError, match="a name that is none"):
        wire.poll(wrong, wire.Quirks())


@pytest.mark.parametrize("name", batch.WIRES)
def test_an_error_under_a_good_status_is_raised(name: str) -> None:
    error = {
        "error": {
            "type": "authentication_error",
            "code": "invalid_api_key",
            "message": "no",
            "status": "UNAUTHENTICATED",
        }
    }
    with pytest.raises(AuthError):
        batch.wire(name).state(reply(error))


@pytest.mark.parametrize("name", batch.WIRES)
def test_ids_of_the_vendor_stay_within_their_place_in_the_path(name: str) -> None:
    wire = batch.wire(name)
    if name != "gemini":
        assert "/../" not in wire.poll("a/../b", wire.Quirks()).path
        assert "?" not in wire.cancel("a?b", wire.Quirks()).path
