"""`mcp-llm batch`: many prompts at once, from JSON lines or a folder, into a file that survives a kill."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from . import orders, running, terminal
from .grouped import Group
from .many import asking, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mcp_llm.batch.items import Item
    from mcp_llm.batch.operation import Batch, Outcome
    from mcp_llm.batch.results import Results
    from mcp_llm.config import Config
    from mcp_llm.llm.service import Service

EXAMPLES: Final = """\b
Examples:
  mcp-llm batch run prompts.jsonl -o answers.jsonl -m lite
  mcp-llm batch run --dir docs --pattern "*.md" --template "Summarize: {{content}}" -o summaries.jsonl
  cat names.txt | mcp-llm batch run - --text --template "Where is {{prompt}} from?" -o origins.jsonl
"""

BOTH: Final = """\b
Examples:
  mcp-llm batch run prompts.jsonl -o answers.jsonl -m lite
  mcp-llm batch submit prompts.jsonl -m openai:lite
  mcp-llm batch collect RUN -o answers.jsonl
"""


@click.group(cls=Group, epilog=BOTH)
def command() -> None:
    """Ask many at once: yourself (`run`), or by a provider that takes a day and half the price (`submit`)."""


@command.command("run", epilog=EXAMPLES)
@asking
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Go on with it if it is there.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="For each.")
@click.option("--at-once", type=click.IntRange(1, 256), default=8, show_default=True, help="Calls in flight.")
@click.option("--dry-run", is_flag=True, help="Only check the items and say how many there are.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def run(source: str | None, **given: Any) -> int:
    """Ask each item of FILE: JSON lines with the arguments of `generate` (`{"id": "a", "prompt": "..."}`), or strings.

    Results go to --output as they come, a JSON line each, matched by `id`; without it to stdout. The same command again
    goes on where it was: what has an answer is not asked again, what failed is. Exits with 3 where items failed, with 4
    where the budget ended it.
    """
    config, items, total, defaults = read(source, given)
    if given["dry_run"]:
        terminal.line(f"{total} items, all well formed")
        return 0
    with ExitStack() as stack:
        results: Results | None = None
        if given["output"] is not None:
            from mcp_llm.batch.results import Results as File

            results = stack.enter_context(File.open(given["output"]))
        return _all(items, total, results, defaults, config, given)


def _all(
    items: Callable[[], Iterator[Item]],
    total: int,
    results: Results | None,
    defaults: dict[str, Any],
    config: Config,
    given: dict[str, Any],
) -> int:
    from mcp_llm.batch.operation import Batch
    from mcp_llm.errors import BudgetExceeded

    had = frozenset(results.done) if results else frozenset()
    rest = (item for item in items() if item.id not in had)
    bar = _Bar(total, len(had), shown=not given["quiet"] and sys.stderr.isatty())
    batches: list[Batch] = []

    def done(outcome: Outcome) -> None:
        record = outcome.record()
        if results is None:
            terminal.dump(record, indent=None)
        else:
            results.append(record)
        bar.step(outcome)

    async def work(service: Service) -> None:
        budget = None if given["budget_usd"] is None else Decimal(str(given["budget_usd"]))
        batch = Batch(service, defaults, at_once=given["at_once"], budget_usd=budget)
        batches.append(batch)
        await batch.run(rest, done)

    code = 0
    try:
        running.run(work, config)
    except running.Interrupted as exc:
        code = exc.code
    finally:
        bar.close()
    batch = batches[0]
    left = total - len(had) - batch.answered - batch.failed
    _summary(batch, total, len(had), left, to_stderr=results is None, as_json=given["as_json"])
    if code:
        terminal.problem("interrupted; the same command goes on where it was" if results else "interrupted")
        return code
    if batch.stopped is not None:
        terminal.problem(f"stopped with {left} items not asked: {batch.stopped}")
        return 4 if isinstance(batch.stopped, BudgetExceeded) else 3
    return 3 if batch.failed else 0


class _Bar:
    """Progress on a terminal, nothing elsewhere."""

    def __init__(self, total: int, had: int, *, shown: bool) -> None:
        self._bar: Any = None
        self._failed = 0
        if shown:
            self._bar = click.progressbar(
                length=total, file=sys.stderr, show_pos=True, item_show_func=lambda failed: failed
            )
            self._bar.update(had)

    def step(self, outcome: Outcome) -> None:
        """One more."""
        self._failed += outcome.answer is None
        if self._bar is not None:
            self._bar.update(1, f"{self._failed} failed" if self._failed else None)

    def close(self) -> None:
        """Leave the line."""
        if self._bar is not None:
            self._bar.render_finish()


def _summary(batch: Batch, total: int, had: int, left: int, *, to_stderr: bool, as_json: bool) -> None:
    from mcp_llm.types.result import dollars

    known = batch.answered > batch.unpriced or not batch.answered
    if as_json and not to_stderr:
        terminal.dump(
            {
                "items": total,
                "answered": batch.answered,
                "answered_before": had,
                "failed": batch.failed,
                "left": left,
                "usd": float(batch.cost) if known else None,
                "unpriced": batch.unpriced,
                "run_id": batch.run_id,
            }
        )
        return
    parts: Iterable[str] = (
        f"{batch.answered} answered",
        f"{had} before" if had else "",
        f"{batch.failed} failed" if batch.failed else "",
        f"{left} left" if left else "",
        (dollars(batch.cost) if batch.cost else "free") if known else "cost unknown",
        f"and {batch.unpriced} of unknown cost" if known and batch.unpriced else "",
    )
    words = f"{total} items: {', '.join(part for part in parts if part)}"
    (terminal.note if to_stderr else terminal.line)(words)


for _one in orders.COMMANDS:
    command.add_command(_one)
