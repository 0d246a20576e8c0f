"""What the commands that make media have in common: their options, the run, and where results go.

stdout is the answer - words, JSON, or bytes with `-o -`; files, notes and the receipt are told on stderr.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from . import running, terminal, written

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.app import App
    from mcp_llm.config import Config
    from mcp_llm.llm.doing import Call
    from mcp_llm.types.media import Made

M = TypeVar("M", bound="Made")
C = TypeVar("C", bound="Callable[..., Any]")

OPTIONS: Final = (
    click.option("-m", "--model", help="provider:model, or a model's id."),
    click.option("--json", "as_json", is_flag=True, help="The whole result as one JSON object, errors too."),
    click.option("--context", metavar="NAME", help="Routing context, e.g. notes.index."),
    click.option("--budget-usd", type=click.FloatRange(0), help="The most this may cost."),
    click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="For the whole call."),
    click.option("--option", "extra", multiple=True, metavar="KEY=JSON", help="Into the provider's request as is."),
    click.option("-q", "--quiet", is_flag=True, help="No progress, no receipt."),
)


def new_id() -> str:
    """An id for a run."""
    from uuid import uuid4

    return uuid4().hex


def load() -> Config:
    """The settings of this process."""
    return running.load()


def options(function: C) -> C:
    """The options that all of them take."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def call(given: dict[str, Any]) -> Call:
    """What the operation takes of them."""
    return {
        "model": given["model"],
        "context": given["context"],
        "budget_usd": given["budget_usd"],
        "timeout_s": given["timeout"],
        "options": written.pairs(given["extra"], decoded=True),
    }


def run(
    given: dict[str, Any],
    work: Callable[[App, Call], Awaitable[M]],
    show: Callable[[M], None],
    config: Config | None = None,
) -> int:
    """Do the work, show what came; the receipt and notes go to stderr."""
    from mcp_llm.llm.progress import Progress

    progress = Progress()
    made = call(given)
    made["progress"] = progress

    async def main(service: App) -> M:
        import anyio

        results: list[M] = []
        async with anyio.create_task_group() as tasks:
            if sys.stderr.isatty() and not given["quiet"]:
                tasks.start_soon(_wait, progress)
            results.append(await work(service, made))
            tasks.cancel_scope.cancel()
        return results[0]

    try:
        result = running.run(main, config)
    except running.Interrupted as exc:
        terminal.problem("interrupted")
        return exc.code
    finally:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
    if given["as_json"]:
        terminal.dump(result.model_dump(mode="json", exclude_none=True))
        return 0
    show(result)
    if not given["quiet"]:
        for one in result.fallbacks:
            terminal.note(f"fell back: {one.provider}:{one.model} {one.error}: {one.message[:200]}")
        for words in result.warnings:
            terminal.note(f"note: {words}")
        terminal.note(f"[{result.receipt}]", dim=True)
    return 0


async def _wait(progress: Any) -> None:
    import anyio

    while True:
        await anyio.sleep(0.5)
        sys.stderr.write(f"\r\x1b[K{terminal.tame(progress.line())[:79]}")
        sys.stderr.flush()


def save(result: Made, target: str | None) -> None:
    """Write the files where `-o` says (`-` is stdout), numbered where there are several; else say where they lie."""
    for number, one in enumerate(result.files, 1):
        if target == "-":
            sys.stdout.buffer.write(one.data)
            sys.stdout.buffer.flush()
        elif target is None:
            terminal.line(one.path or one.uri)
        else:
            place = Path(target)
            ending = Path(one.name).suffix
            if place.is_dir() or target.endswith("/"):
                place = place / one.name
            elif len(result.files) > 1:
                place = place.with_name(f"{place.stem}-{number}{place.suffix or ending}")
            elif not place.suffix:
                place = place.with_suffix(ending)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(one.data)
            except OSError as exc:
                raise click.ClickException(
                    f"{place} cannot be written ({exc.strerror}); what was made is kept at {one.path or one.uri}"
                ) from None
            terminal.line(str(place))
