"""`mcp-llm batch submit|collect|cancel`: batches that a vendor works off in its own time, at half the price."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import click

from . import running, terminal
from .many import asking, read

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.llm.service import Service


@click.command("submit")
@asking
def submit(source: str | None, **given: Any) -> int:
    """Hand the items to the provider's own batch API; prints the run under which they are collected.

    The provider takes up to a day and half the usual price. All items go to one model. Nothing has to stay running: a
    server of yours that runs meanwhile collects the answers by itself, or `mcp-llm batch collect RUN` does.
    """
    config, items, total, defaults = read(source, given)

    async def work(service: Service) -> str:
        from mcp_llm.batch.orders import Orders

        app = cast("App", service)
        budget = None if given["budget_usd"] is None else Decimal(str(given["budget_usd"]))
        run_id, state = await Orders(app, app.journals).submit(list(items()), defaults, budget_usd=budget)
        terminal.note(f"{total} items are with the provider as {state.id}; `mcp-llm batch collect {run_id}` gets them")
        return run_id

    try:
        terminal.line(running.run(work, config))
    except running.Interrupted as exc:
        return exc.code
    return 0


@click.command("collect")
@click.argument("run_id", metavar="RUN")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file, as `batch run` writes.")
@click.option("--no-wait", is_flag=True, help="Only what is there now; exit 3 while the provider is at it.")
def collect(run_id: str, output: Path | None, no_wait: bool) -> int:
    """Wait for the answers of a submitted batch and write them, one JSON line each, in the order of the items."""

    async def work(service: Service) -> dict[str, Any]:
        from mcp_llm.batch.orders import KIND, Orders
        from mcp_llm.errors import InvalidInput
        from mcp_llm.runs import wait

        app = cast("App", service)
        info = await app.journals.get(run_id, "local")
        if info.kind != KIND:
            raise InvalidInput(f"run {run_id} is no batch but {info.kind}")
        if info.live and not no_wait:  # a server of ours is at it
            info = await wait.ended(app.journals, run_id, "local", 7 * 86_400)
        if info.status == "interrupted":
            orders = Orders(app, app.journals, wait=not no_wait)
            await orders.check(info, again=True)
            journal = await app.journals.claim(run_id, "local")
            try:
                return await orders.drive(journal)
            finally:
                await journal.release()
        if info.status in {"failed", "cancelled"} and "results" not in info.result:
            raise InvalidInput(f"run {run_id} {info.status}: {info.result.get('error', 'no reason is known')}")
        return info.result

    async def fetched(service: Service) -> tuple[dict[str, Any], bytes]:
        result = await work(service)
        if "results" not in result:
            return result, b""
        with cast("App", service).artifacts.open(result["results"]["sha256"]) as file:
            return result, file.read()

    try:
        result, data = running.run(fetched)
    except running.Interrupted as exc:
        terminal.problem("interrupted; the provider goes on, and so does the same command")
        return exc.code
    if not result:
        terminal.problem(f"the provider is still at it; `mcp-llm batch collect {run_id}` waits for the end")
        return 3
    if output is None:
        terminal.write(data.decode(), raw=True)
    else:
        _write(output, data)
    words = f"{result['items']} items: {result['answered']} answered"
    words += f", {result['failed']} failed" if result["failed"] else ""
    (terminal.line if output is not None else terminal.note)(words)
    return 3 if result["failed"] else 0


@click.command("cancel")
@click.argument("run_id", metavar="RUN")
def cancel(run_id: str) -> int:
    """Ask the provider to stop a submitted batch; what is answered by then can still be collected."""

    async def work(service: Service) -> str:
        from mcp_llm.batch.orders import Orders

        app = cast("App", service)
        return (await Orders(app, app.journals).cancel(run_id)).status

    terminal.line(running.run(work))
    return 0


def _write(path: Path, data: bytes) -> None:
    """The records into a results file; what it has of these items already stays."""
    import json

    from mcp_llm.batch.results import Results

    with Results.open(path) as results:
        for line in data.split(b"\n"):
            if line and str((record := json.loads(line))["id"]) not in results.done:
                results.append(record)


COMMANDS: Final = (submit, collect, cancel)
