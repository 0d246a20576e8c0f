"""`mcp-llm compare`: the same prompts to several models at once, checked, judged, and what may be concluded."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from . import running, terminal, written
from .ask import EFFORTS

if TYPE_CHECKING:
    from mcp_llm.compare.asked import Comparison
    from mcp_llm.compare.result import Compared
    from mcp_llm.config import Config
    from mcp_llm.llm.progress import Progress
    from mcp_llm.llm.service import Service

EXAMPLES: Final = """\b
Examples:
  mcp-llm compare "Why is the sky blue?" -m anthropic:pro -m openai:pro
  mcp-llm compare "17 * 23 = ?" -m lite -m pro --samples 5 --expect '{"number": 391}'
  mcp-llm compare --prompts prompts.txt -m groq:pro -m mistral:pro --judge auto --budget-usd 2
"""
TOO_DEAR: Final = 4


@click.command(epilog=EXAMPLES)
@click.argument("prompt", nargs=-1)
@click.option("-m", "--model", "models", multiple=True, metavar="MODEL", help="A model to compare; 2 to 16 of them.")
@click.option("--prompts", "listed", metavar="FILE", help="Many prompts: a JSON list, or one a line.")
@click.option("-s", "--system", help="The system's words.")
@click.option("-f", "--file", "files", multiple=True, metavar="PATH|URL", help="Attach a file; may be repeated.")
@click.option("--schema", metavar="FILE|JSON", help="Answers as JSON of this JSON Schema.")
@click.option("--samples", type=click.IntRange(1), default=1, show_default=True, help="Answers per model and prompt.")
@click.option(
    "--expect", metavar="TEXT|JSON", help="What is right: text, a number, {equals, contains, ...}, or a list."
)
@click.option("--judge", "judges", multiple=True, metavar="auto|MODEL", help="Have answers judged; may be repeated.")
@click.option("--rubric", help="What judges look for.")
@click.option("--temperature", type=float, help="As the vendor defines it; not sent unless given.")
@click.option("--max-tokens", type=click.IntRange(1), help="The longest an answer may be.")
@click.option("--effort", type=click.Choice(EFFORTS), help="How much they should reason.")
@click.option("--context", metavar="NAME", help="Routing context, e.g. notes.title.")
@click.option("--budget-usd", type=click.FloatRange(0), help="The most all of it may cost.")
@click.option("-y", "--yes", is_flag=True, help="Make it whatever it will probably cost.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="For each call.")
@click.option(
    "--option", "options", multiple=True, metavar="KEY=JSON", help="Into the providers' request bodies as is."
)
@click.option("--dry-run", is_flag=True, help="Only say what it will cost.")
@click.option("--json", "as_json", is_flag=True, help="The whole result as one JSON object, errors too.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(prompt: tuple[str, ...], **given: Any) -> int:
    """Compare models. The table and the answers go to stdout, progress to stderr.

    The prompt is PROMPT, followed by stdin where something is piped in. What will probably cost more than the setting
    budget.confirm_usd is only quoted, with exit code 4, unless --budget-usd or --yes allows it.
    """
    config = running.load()
    ask = asked(prompt, given, config)
    if given["yes"]:
        budget = config.settings.budget.model_copy(update={"confirm_usd": None})
        config.settings = config.settings.model_copy(update={"budget": budget})

    async def work(service: Service) -> int:
        return show(await compared(service, ask, quiet=given["quiet"]), ask, as_json=given["as_json"])

    from mcp_llm.errors import Error

    try:
        return running.run(work, config)
    except Error as exc:
        if given["as_json"]:
            from .answers import described

            terminal.dump({"error": described(exc)})
            exc.add_note(terminal.TOLD)
        raise
    except running.Interrupted as exc:
        terminal.problem("interrupted; answers that had arrived are kept: mcp-llm runs list")
        return exc.code


def asked(prompt: tuple[str, ...], given: dict[str, Any], config: Config) -> Comparison:
    """What the flags say."""
    from mcp_llm.compare.asked import Comparison

    text, attached = ("", []) if given["listed"] and not prompt else written.prompt(prompt)
    if not text.strip() and not attached and not given["listed"]:
        raise click.UsageError('nothing to ask: give a prompt (mcp-llm compare "..." -m a -m b) or --prompts FILE')
    judges = list(given["judges"])
    return Comparison(
        prompt=text,
        models=given["models"],
        prompts=prompts(given["listed"]),
        system=given["system"],
        files=[*attached, *written.files(given["files"], config)],
        json_schema=written.schema(given["schema"]),
        samples=given["samples"],
        expect=expected(given["expect"]),
        judge=True if judges == ["auto"] else judges,
        rubric=given["rubric"],
        budget_usd=given["budget_usd"],
        context=given["context"],
        temperature=given["temperature"],
        max_tokens=given["max_tokens"],
        effort=given["effort"],
        timeout_s=given["timeout"],
        options=written.pairs(given["options"], decoded=True),
        dry_run=given["dry_run"],
    )


def prompts(name: str | None) -> list[str]:
    """The prompts in a file: a JSON list of texts, or one a line, empty lines aside."""
    if name is None:
        return []
    try:
        text = Path(name).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as exc:
        raise click.BadParameter(f"{name!r} cannot be read as text", param_hint="--prompts") from exc
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except ValueError as exc:
            raise click.BadParameter(f"not valid JSON: {exc}", param_hint="--prompts") from exc
        if not all(isinstance(one, str) for one in found):
            raise click.BadParameter("the JSON list has to hold texts", param_hint="--prompts")
        return list(found)
    return [line for line in text.splitlines() if line.strip()]


def expected(value: str | None) -> Any:
    """JSON where it is an object, a list or a number; any other text stands for itself."""
    if value is None:
        return None
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if isinstance(found, dict | list | int | float) and not isinstance(found, bool) else value


async def compared(service: Service, ask: Comparison, *, quiet: bool) -> Compared:
    """Compare, telling on a terminal how far it is."""
    import anyio

    from mcp_llm.compare.operation import compare
    from mcp_llm.llm.progress import Progress

    progress = Progress()
    try:
        async with anyio.create_task_group() as tasks:
            if sys.stderr.isatty() and not quiet:
                tasks.start_soon(_tell, progress)
            found = await compare(service, ask, progress=progress)
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise running.only(group) from None
    return found


async def _tell(progress: Progress) -> None:
    import anyio

    try:
        while True:
            await anyio.sleep(0.5)
            sys.stderr.write(f"\r\x1b[K{terminal.tame(progress.line())[:79]}")
            sys.stderr.flush()
    finally:
        sys.stderr.write("\r\x1b[K")


def show(found: Compared, ask: Comparison, *, as_json: bool) -> int:
    """Write it; the exit code."""
    from mcp_llm.compare import table

    if as_json:
        terminal.dump(found.model_dump(mode="json"))
    elif found.quoted and not ask.dry_run:
        terminal.problem(f"{found.response} Or give --yes.")
    else:
        terminal.line(found.response if found.quoted else table.whole(found))
    return TOO_DEAR if found.quoted and not ask.dry_run else 0
