"""Films from the order to the file: ordered once whatever happens, asked for by whoever is there, called off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread
import pytest
from faults.asking import CANARY, Asking
from faults.server import FaultServer, Reply

from mcp_llm.errors import BudgetExceeded, InvalidInput, ProviderError, Timeout, UnknownModel
from mcp_llm.llm.ledger import day
from mcp_llm.runs.resume import drive as driven
from mcp_llm.server import resumable
from mcp_llm.types.events import JobEvent
from mcp_llm.video import KIND, Films, Order

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.app import App
    from mcp_llm.llm.service import Service

pytestmark = pytest.mark.anyio

MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(100)
XAI = """
[wires]
video = "xai"

[models.m]
kind = "video"
price = { second = 0.1, source = "test", checked = 2026-01-01 }
"""
GOOGLE = '[wires]\nvideo = "gemini"\n'
ORDERED = Reply(body=b'{"request_id": "job/1"}')
PENDING = Reply(status=202, headers={})
HALF = Reply(body=b'{"status": "pending", "progress": 50}')
FILM = Reply(headers={"content-type": "video/mp4"}, body=MP4)


@pytest.fixture
def asking(home: Path) -> Asking:
    return Asking(home)


def done(server: FaultServer, **more: Any) -> Reply:
    video = {"url": f"{server.url}/films/1.mp4", "duration": 6, "respect_moderation": True}
    return Reply(body=json.dumps({"status": "done", "video": video, **more}).encode())


def script(server: FaultServer, *replies: Reply) -> None:
    server._scripts["api"] = list(replies)
    server._scripts["films"] = [FILM]


def films(service: Any) -> Films:
    return Films(service, cast("App", service).journals)


def posts(server: FaultServer) -> list[str]:
    return [one.target for one in server.requests if one.method == "POST"]


async def states(service: Any, run_id: str) -> list[tuple[str, int | None]]:
    events = await service.journals.events(run_id)
    return [(one.state, one.done) for one in events if isinstance(one, JobEvent)]


async def test_a_film_is_ordered_once_asked_for_and_kept(asking: Asking) -> None:
    with FaultServer(scripts={"api": [], "films": []}) as server:
        cost = {"cost_in_usd_ticks": 8_400_000_000}
        script(server, ORDERED, PENDING, Reply(status=503), HALF, done(server, usage=cost, model="grok-film"))
        model = asking.provider("acme", f"{server.url}/api", XAI)
        async with asking.open() as service:
            made = await films(service).make("Waves at dusk", seconds=6, ratio="16:9", model=model)
            (file,) = made.files
            assert (file.data, file.mime, file.name) == (MP4, "video/mp4", "waves-at-dusk.mp4")
            assert (made.response, made.job_id, made.model_used) == ("1 film, 6 s", "job/1", "grok-film")
            assert (made.cost.usd, made.cost.source) == (0.84, "provider")
            assert await states(service, made.run_id) == [
                ("submitting", None),
                ("submitted", None),
                ("running", 50),
                ("ended", None),
            ]
            kept = await service.runs.result(made.run_id, "local")
            assert kept is not None
            assert (kept["kind"], kept["status"], kept["result"]["files"][0]["uri"]) == (KIND, "finished", file.uri)
            rows = await service.runs.store.query("SELECT operation, outcome, usd FROM ledger")
            assert [tuple(row) for row in rows] == [("video", "ok", 840_000_000)]
        assert posts(server) == ["/api/videos/generations"]
        assert json.loads(server.requests[0].body) == {
            "model": "m",
            "prompt": "Waves at dusk",
            "duration": 6,
            "aspect_ratio": "16:9",
        }
        assert server.requests[1].target == "/api/videos/job%2F1"
        assert "authorization" not in server.requests[-1].headers
    assert asking.waits[:2] == [5.0, 6.5]


async def test_the_price_is_by_the_second_where_the_provider_tells_none(asking: Asking) -> None:
    with FaultServer(scripts={"api": [], "films": []}) as server:
        script(server, ORDERED, done(server))
        model = asking.provider("acme", f"{server.url}/api", XAI)
        async with asking.open() as service:
            with pytest.raises(BudgetExceeded, match=r"may cost \$0\.60 "):
                await films(service).make("x", seconds=6, model=model, budget_usd=0.5)
            with pytest.raises(BudgetExceeded, match="price of acme:m is not known"):
                await films(service).make("x", model=model, budget_usd=5)
            assert posts(server) == []
            made = await films(service).make("x", seconds=6, model=model, budget_usd=0.7)
            assert made.cost.usd == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"status": "failed", "error": {"code": "internal", "message": "too bright"}}, "too bright"),
        ({"status": "expired"}, "expired"),
        ({"status": "done", "video": {"url": "x", "respect_moderation": False}}, "content filter"),
    ],
)
async def test_a_job_that_fails_says_why_and_costs_nothing(asking: Asking, reply: Any, words: str) -> None:
    with FaultServer(scripts={"api": [ORDERED, Reply(body=json.dumps(reply).encode())]}) as server:
        model = asking.provider("acme", f"{server.url}/api", XAI)
        async with asking.open() as service:
            with pytest.raises(ProviderError, match=words):
                await films(service).make("x", model=model)
            (info,) = await cast("App", service).journals.list("local")
            assert info.status == "failed"


async def test_an_order_is_never_sent_twice_even_where_the_reply_is_lost(asking: Asking) -> None:
    with FaultServer(scripts={"api": [Reply(reset="headers")]}) as server:
        model = asking.provider("acme", f"{server.url}/api", XAI)
        async with asking.open() as service:
            with pytest.raises(ProviderError):
                await films(service).make("x", model=model)
        assert len(posts(server)) == 1


async def test_a_run_whose_order_may_have_left_is_not_ordered_again(asking: Asking) -> None:
    with FaultServer(scripts={"api": [ORDERED]}) as server:
        model = asking.provider("acme", f"{server.url}/api", XAI)
        async with asking.open() as service:
            runs = cast("App", service).journals
            order = {"model": model, "asked": model, "request": {"prompt": "x"}}
            journal = await runs.create(KIND, Order.model_validate(order).model_dump(mode="json"), "local")
            await journal.append(JobEvent(state="submitting", provider="acme", model="m"))
            await journal.release()
            with pytest.raises(InvalidInput, match="may have left or not"):
                await films(service).check(await runs.get(journal.run_id, "local"), again=True)
        assert server.requests == []


async def test_who_stops_waiting_leaves_a_run_that_another_goes_on_with(asking: Asking) -> None:
    with FaultServer(scripts={"api": [], "films": []}) as server:
        script(server, ORDERED, Reply(hang="headers"))
        model = asking.provider("acme", f"{server.url}/api", XAI)
        async with asking.open() as service:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: films(service).make("x", model=model, run_id="r1", stays=lambda: True))
                for _ in range(2):
                    await anyio.to_thread.run_sync(server.wait_request)
                tasks.cancel_scope.cancel()
            assert (await cast("App", service).journals.get("r1", "local")).status == "interrupted"
        script(server, done(server))
        server._played["api"] = 0
        async with asking.open() as service:
            app = cast("App", service)
            resumable.register(app)
            journal, resumer = await app.resumers.claim(app.journals, "r1", "local")
            result = await resumer.drive(journal)
            assert result["files"][0]["mime"] == "video/mp4"
            assert (await app.journals.get("r1", "local")).status == "finished"
        assert posts(server) == ["/api/videos/generations"]


@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL")
async def test_after_a_kill_the_same_job_is_asked_for(asking: Asking) -> None:
    with FaultServer(scripts={"api": [], "films": []}) as server:
        script(server, ORDERED, Reply(hang="headers"))
        model = asking.provider("acme", f"{server.url}/api", XAI)
        env = {**os.environ, "ACME_API_KEY": CANARY, "MCP_LLM_HOME": str(asking.home), "MCP_LLM_DISCOVER": "0"}
        command = [sys.executable, "-m", "mcp_llm", "video", "waves", "-m", model]
        process = await anyio.open_process(command, env=env, stdin=subprocess.DEVNULL, stdout=None, stderr=None)
        for _ in range(2):
            await anyio.to_thread.run_sync(lambda: server.wait_request(30))
        process.send_signal(signal.SIGKILL)
        await process.wait()
        script(server, done(server))
        server._played["api"] = 0
        async with asking.open() as service:
            app = cast("App", service)
            resumable.register(app)
            (info,) = await app.journals.list("local")
            with anyio.fail_after(60):
                while (await app.journals.get(info.id, "local")).live:  # noqa: ASYNC110 - until its lease has run out
                    await anyio.sleep(0.2)
            journal, resumer = await app.resumers.claim(app.journals, info.id, "local")
            await resumer.drive(journal)
            assert (await app.journals.get(info.id, "local")).status == "finished"
        assert posts(server) == ["/api/videos/generations"]


async def test_a_process_whose_key_is_refused_leaves_the_film_to_one_that_may_ask(asking: Asking) -> None:
    with FaultServer(scripts={"api": [], "films": []}) as server:
        script(server, ORDERED, Reply(hang="headers"), Reply(status=401, body=b'{"error": "bad key"}'), done(server))
        model = asking.provider("acme", f"{server.url}/api", XAI)
        async with asking.open() as service:
            app, made = cast("App", service), films(service)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: made.make("waves", model=model, run_id="r1", stays=lambda: True))
                for _ in range(2):
                    await anyio.to_thread.run_sync(server.wait_request)
                tasks.cancel_scope.cancel()
            await driven(made, await app.journals.claim("r1"))  # as a server does unasked
            info = await app.journals.get("r1", "local")
            assert info.status == "interrupted"
            with pytest.raises(InvalidInput, match=r"could not be looked at 0 s ago .*again=true"):
                await made.check(info, again=False)
            await made.check(info, again=True)
            await driven(made, await app.journals.claim("r1"))
            assert (await app.journals.get("r1", "local")).status == "finished"
        assert posts(server) == ["/api/videos/generations"]


async def test_a_call_that_is_given_up_calls_the_job_off(asking: Asking) -> None:
    submitted = Reply(body=b'{"id": "int-1", "status": "in_progress"}')
    with FaultServer(scripts={"api": [submitted, Reply(hang="headers"), Reply(body=b"{}")]}) as server:
        model = asking.provider("acme", f"{server.url}/api", GOOGLE)
        async with asking.open() as service:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: films(service).make("x", model=model, run_id="r1"))
                for _ in range(2):
                    await anyio.to_thread.run_sync(server.wait_request)
                tasks.cancel_scope.cancel()
            assert (await cast("App", service).journals.get("r1", "local")).status == "cancelled"
        assert posts(server) == ["/api/v1beta/interactions", "/api/v1beta/interactions/int-1/cancel"]


@pytest.mark.parametrize(
    ("provider", "answers", "called", "words"),
    [
        (GOOGLE, [Reply(body=b"{}")], ["/api/v1beta/interactions/int-1/cancel"], None),
        (GOOGLE, [Reply(status=409, body=b'{"error": {"message": "over"}}')], [], "bills it: "),
        (XAI, [], [], "acme makes the film all the same, and bills it"),
    ],
)
async def test_a_film_that_nobody_waits_for_is_called_off_where_that_is_possible(
    asking: Asking, provider: str, answers: list[Reply], called: list[str], words: str | None
) -> None:
    with FaultServer(scripts={"api": answers}) as server:
        model = asking.provider("acme", f"{server.url}/api", provider)
        async with asking.open() as service:
            app, run_id = cast("App", service), await left_alone(service, model)
            resumable.register(app)
            info, told = await app.resumers.cancel(app.journals, run_id, "local")
        assert (info.status, told is None) == ("cancelled", words is None)
        assert (words or "") in (told or "")
        assert called == posts(server)[: len(called)]


async def test_a_film_whose_provider_cannot_be_told_is_left_as_it_is(asking: Asking) -> None:
    with FaultServer(scripts={"api": [Reply(status=401, body=b'{"error": "bad key"}')]}) as server:
        model = asking.provider("acme", f"{server.url}/api", GOOGLE)
        async with asking.open() as service:
            app, run_id = cast("App", service), await left_alone(service, model)
            resumable.register(app)
            with pytest.raises(ProviderError, match=r"acme: it could not be told to stop .*stays open"):
                await app.resumers.cancel(app.journals, run_id, "local")
            assert (await app.journals.get(run_id, "local")).status == "interrupted"


async def left_alone(service: Service, model: str) -> str:
    """A film that was ordered by a process that is gone."""
    order = Order.model_validate({"model": model, "asked": model, "request": {"prompt": "x"}})
    journal = await cast("App", service).journals.create(KIND, order.model_dump(mode="json"), "local", model=model)
    await journal.append(JobEvent(state="submitted", job_id="int-1", provider="acme", model="m"))
    await journal.release()
    return journal.run_id


@pytest.mark.parametrize("given_up", [True, False])
async def test_a_film_that_is_not_asked_for_any_more_is_spent_and_not_held(asking: Asking, given_up: bool) -> None:
    running = Reply(hang="headers") if given_up else PENDING
    with FaultServer(scripts={"api": [ORDERED, running]}) as server:
        model = asking.provider("acme", f"{server.url}/api", XAI)
        async with asking.open(budget={"day_usd": "0.7"}) as service:

            async def make() -> None:
                timeout_s = None if given_up else 1.0  # over before the second look
                await films(service).make("x", seconds=6, model=model, timeout_s=timeout_s)

            if given_up:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(make)
                    for _ in range(2):
                        await anyio.to_thread.run_sync(server.wait_request)
                    tasks.cancel_scope.cancel()
            else:
                with pytest.raises(Timeout):
                    await make()
            await service.purse.ledger.expire()
            used = await service.purse.ledger.used("day", day(time.time_ns() // 1_000_000))
            ((outcome, usd),) = await service.runs.store.query("SELECT outcome, usd FROM ledger")
    assert (used.usd, used.held_usd) == (Decimal("0.6"), Decimal(0))
    assert (outcome, usd) == ("cancelled" if given_up else "timeout", None)


async def test_a_film_inside_the_answer_needs_no_fetching(asking: Asking) -> None:
    import base64

    video = {"type": "video", "mime_type": "video/mp4", "data": base64.b64encode(MP4).decode()}
    finished = {
        "id": "int-1",
        "status": "completed",
        "model": "gemini-omni-1.1-flash",
        "steps": [{"type": "thought"}, {"type": "model_output", "content": [{"type": "text", "text": "Here."}, video]}],
        "usage": {
            "total_input_tokens": 9,
            "total_output_tokens": 5000,
            "output_tokens_by_modality": [{"modality": "video", "tokens": 4990}],
        },
    }
    with FaultServer(
        scripts={"api": [Reply(body=b'{"id": "int-1"}'), Reply(body=json.dumps(finished).encode())]}
    ) as server:
        model = asking.provider("acme", f"{server.url}/api", GOOGLE)
        async with asking.open() as service:
            made = await films(service).make("x", seconds=8, model=model)
        body = json.loads(server.requests[0].body)
    assert made.files[0].data == MP4
    assert (made.usage.input, made.usage.output) == (9, 5000)
    assert body["response_format"] == {"type": "video", "delivery": "inline", "duration": "8s"}
    assert body["background"] is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prompt": " "}, "`prompt` is empty"),
        ({"prompt": "x", "seconds": 0}, "`seconds` is 0"),
        ({"prompt": "x", "image": b"words"}, "have to be pictures"),
    ],
)
async def test_what_cannot_be_filmed_is_said_before_there_is_a_run(
    asking: Asking, arguments: dict[str, Any], words: str
) -> None:
    async with asking.open() as service:
        with pytest.raises(InvalidInput, match=words):
            await films(service).make(**arguments)
        assert await cast("App", service).journals.list("local") == []


async def test_without_a_provider_that_films_it_says_which_do(asking: Asking) -> None:
    async with asking.open() as service:
        with pytest.raises(UnknownModel, match=r"does video: set the key of one that does .*xai"):
            await films(service).make("x")
