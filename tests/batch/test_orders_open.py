"""An order ends when the vendor says so, not for a key, a file or a disk that fails on our side: nothing is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from batch.test_orders import ANSWER, ENDED, ITEMS, MADE, RESULTS, RUNNING, WIRES, drive, lines, orders, say
from faults.server import FaultServer, Reply

from mcp_llm.batch.orders import Orders
from mcp_llm.errors import ConfigError, Garbled, InvalidInput, StoreError
from mcp_llm.runs.resume import drive as driven
from mcp_llm.runs.store import RunStore
from mcp_llm.types.events import JobEvent

if TYPE_CHECKING:
    from faults.asking import Asking

    from mcp_llm.app import App
    from mcp_llm.llm.service import Service
    from mcp_llm.runs.journal import Journal
    from mcp_llm.types.events import Event

pytestmark = pytest.mark.anyio
REFUSED = say({"error": {"message": "bad key"}}, 401)
UNREADABLE = Reply(body=b"<html>gone</html>\n")


def forget(asking: Asking, name: str) -> None:
    (asking.home / "providers" / f"{name}.toml").unlink()


async def status(service: Service, run_id: str) -> str:
    return (await cast("App", service).journals.get(run_id, "local")).status


async def records(service: Service, result: dict[str, Any]) -> list[tuple[str, str]]:
    with cast("App", service).artifacts.open(result["results"]["sha256"]) as file:
        return [(one["id"], one["status"]) for one in map(json.loads, file.read().splitlines())]


async def test_a_key_that_is_refused_while_it_is_looked_at_leaves_the_order_open(asking: Asking) -> None:
    with FaultServer([*MADE, RUNNING, REFUSED, ENDED, *RESULTS]) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            made, app = orders(service), cast("App", service)
            run_id, _ = await made.submit(ITEMS, {"model": "gate:m"})
            await driven(made, await app.journals.claim(run_id))  # as a server does unasked
            info = await app.journals.get(run_id, "local")
            assert info.status == "interrupted"
            with pytest.raises(InvalidInput, match=r"could not be looked at 0 s ago \(.*bad key.*again=true"):
                await made.check(info, again=False)
            await made.check(info, again=True)
            result = await drive(made, run_id)
            assert await records(service, result) == [("a", "ok"), ("b", "error"), ("c", "ok")]
            assert await status(service, run_id) == "finished"


async def test_a_process_that_does_not_know_the_provider_leaves_the_order_to_one_that_does(asking: Asking) -> None:
    with FaultServer([*MADE, ENDED, *RESULTS]) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            run_id, _ = await orders(service).submit(ITEMS, {"model": "gate:m"})
        forget(asking, "gate")
        async with asking.open() as service:
            journal = await cast("App", service).journals.claim(run_id)
            with pytest.raises(ConfigError):
                await orders(service).drive(journal)
            assert await status(service, run_id) == "interrupted"
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            assert (await drive(orders(service), run_id))["answered"] == 2


async def test_results_that_cannot_be_had_just_now_are_asked_for_again(asking: Asking) -> None:
    with FaultServer([*MADE, ENDED, RESULTS[0], say({}, 503), ENDED, *RESULTS]) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            run_id, _ = await orders(service).submit(ITEMS, {"model": "gate:m"})
            assert (await drive(orders(service), run_id))["answered"] == 2


@pytest.mark.parametrize("errors", [UNREADABLE, say({"error": {"message": "no such file"}}, 404)])
async def test_a_file_of_errors_that_cannot_be_read_costs_no_answer(asking: Asking, errors: Reply) -> None:
    with FaultServer([*MADE, ENDED, RESULTS[0], errors]) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            run_id, _ = await orders(service).submit(ITEMS, {"model": "gate:m"})
            result = await drive(orders(service), run_id)
            assert await records(service, result) == [("a", "ok"), ("b", "error"), ("c", "ok")]


async def test_answers_that_cannot_be_read_are_not_given_up_for_the_errors_beside_them(asking: Asking) -> None:
    with FaultServer([*MADE, ENDED, UNREADABLE, RESULTS[1], ENDED, *RESULTS]) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            run_id, _ = await orders(service).submit(ITEMS, {"model": "gate:m"})
            with pytest.raises(Garbled):
                await drive(orders(service), run_id)
            assert await status(service, run_id) == "interrupted"
            assert (await drive(orders(service), run_id))["answered"] == 2


async def test_a_batch_in_which_every_request_failed_is_over(asking: Asking) -> None:
    ended = say({"id": "batch_1", "status": "completed", "error_file_id": "err"})
    with FaultServer([*MADE, ended, RESULTS[1]]) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            run_id, _ = await orders(service).submit(ITEMS, {"model": "gate:m"})
            assert (await drive(orders(service), run_id))["failed"] == 3


class Filling(RunStore):
    """Its disk is full from the moment at which an order is about to leave; there is room again after that."""

    async def create(self, *words: Any, **named: Any) -> Journal:
        journal = await super().create(*words, **named)
        journal.listen(self)
        return journal

    def emit(self, event: Event) -> None:
        if isinstance(event, JobEvent) and event.state == "submitting":
            self.store.send(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchone())


async def test_the_id_of_a_batch_that_the_vendor_took_outlives_a_disk_that_does_not_take_it(asking: Asking) -> None:
    name = f"batch_{'1' * 50_000}"  # more than there is room for
    answers = lines({"custom_id": "i0", "response": {"status_code": 200, "body": ANSWER}})
    ended = say({"id": name, "status": "completed", "output_file_id": "out"})
    with FaultServer([MADE[0], say({"id": name, "status": "validating"}), ended, answers]) as server:
        asking.provider("gate", server.url, WIRES)
        async with asking.open() as service:
            app = cast("App", service)
            with pytest.raises(StoreError, match=r"gate took the batch as 'batch_11.*Do not order it again"):
                await Orders(app, Filling(app.store)).submit(ITEMS, {"model": "gate:m"})
            (info,) = await app.journals.list("local")
            assert info.status == "interrupted"
            await orders(service).check(info, again=False)
            assert (await drive(orders(service), info.id))["answered"] == 1
    assert [request.target for request in server.requests[:2]] == ["/files", "/batches"]
