"""`mcp-llm ask`: one prompt to one model, with everything the `generate` tool can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import click

from . import running, terminal, written

if TYPE_CHECKING:
    from mcp_llm.llm.generate import Ask
    from mcp_llm.llm.service import Service
    from mcp_llm.prompts import Prompts
    from mcp_llm.types.result import Generated

    from .answers import Sink

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

EXAMPLES: Final = """\b
Examples:
  mcp-llm ask "Why is the sky blue?"
  git diff | mcp-llm ask -m lite "Write a commit message"
  mcp-llm ask -f invoice.pdf --schema invoice.schema.json "Read this invoice"
  mcp-llm ask --thread new "Let us plan a trip" ; mcp-llm ask --thread ID "And in winter?"
"""


@click.command(epilog=EXAMPLES)
@click.argument("prompt", nargs=-1)
@click.option("-m", "--model", help="provider:model, a model's id, an alias, pro|balanced|lite, or auto.")
@click.option("-s", "--system", help="The system's words.")
@click.option("-f", "--file", "files", multiple=True, metavar="PATH|URL", help="Attach a file; may be repeated.")
@click.option("--schema", metavar="FILE|JSON", help="Answer as JSON of this JSON Schema; exit 5 if it does not fit.")
@click.option("--json", "as_json", is_flag=True, help="The whole result as one JSON object, errors too.")
@click.option("--jsonl", "as_events", is_flag=True, help="One JSON event a line, as they happen.")
@click.option("--temperature", type=float, help="As the vendor defines it; not sent unless given.")
@click.option("--max-tokens", type=click.IntRange(1), help="The longest an answer may be.")
@click.option("--effort", type=click.Choice(EFFORTS), help="How much it should reason.")
@click.option("--stop", multiple=True, metavar="TEXT", help="End the answer before this; may be repeated.")
@click.option("--context", metavar="NAME", help="Routing context, e.g. notes.title.")
@click.option("--thread", metavar="new|ID", help="Begin or go on with a kept conversation.")
@click.option("--budget-usd", type=click.FloatRange(0), help="The most this may cost.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="For the whole call.")
@click.option("--option", "options", multiple=True, metavar="KEY=JSON", help="Into the provider's request body as is.")
@click.option("--prompt", "prompt_name", metavar="NAME", help="Use a prompt file (see `mcp-llm prompts`).")
@click.option("--arg", "arguments", multiple=True, metavar="KEY=TEXT", help="An argument of that prompt.")
@click.option("--dry-run", is_flag=True, help="Only say who would be asked and what it may cost.")
@click.option("--no-stream", is_flag=True, help="Show the answer when all of it is there.")
@click.option("--raw", is_flag=True, help="Do not escape control characters on a terminal.")
@click.option("-q", "--quiet", is_flag=True, help="No thinking, no progress, no receipt.")
def command(prompt: tuple[str, ...], **given: Any) -> int:
    """Ask one model. The answer goes to stdout as it comes, thinking and the receipt to stderr.

    The prompt is PROMPT, followed by stdin where something is piped in; `-` is stdin only. `mcp-llm --help` has the
    exit codes.
    """
    if given["as_json"] and given["as_events"]:
        raise click.UsageError("--json and --jsonl exclude one another")
    text, attached = written.prompt(prompt)
    if not text.strip() and not attached and not given["prompt_name"]:
        raise click.UsageError('nothing to ask: give a prompt (mcp-llm ask "...") or pipe one in')
    config = running.load()
    schema = written.schema(given["schema"])
    options = written.pairs(given["options"], decoded=True)
    arguments = written.pairs(given["arguments"], decoded=False)
    attached += written.files(given["files"], config)
    from mcp_llm.llm.generate import Ask

    ask = Ask(
        prompt=text,
        model=given["model"],
        system=given["system"],
        context=given["context"],
        files=attached,
        json_schema=schema,
        temperature=given["temperature"],
        max_tokens=given["max_tokens"],
        effort=given["effort"],
        stop=given["stop"],
        thread=given["thread"],
        budget_usd=given["budget_usd"],
        timeout_s=given["timeout"],
        options=options,
    )

    async def work(service: Service) -> int:
        if given["prompt_name"]:
            use_prompt(service.prompts, given["prompt_name"], arguments, ask)
        if given["dry_run"]:
            return await _quote(service, ask, as_json=given["as_json"])
        run_id = uuid4().hex
        await answer(service, ask, sink(run_id, ask, given), run_id)
        return 0

    try:
        return running.run(work, config)
    except running.Interrupted as exc:
        terminal.problem("interrupted; what had arrived is above")
        return exc.code


def sink(run_id: str, ask: Ask, given: dict[str, Any]) -> Sink:
    """Where the answer goes, as the flags say."""
    from . import answers

    if given["as_json"]:
        return answers.Whole(run_id)
    if given["as_events"]:
        return answers.Events(run_id, ask.prompt if isinstance(ask.prompt, str) else "")
    # A repaired answer replaces one that was streamed: with a schema only the one that fits is shown.
    hold = given["no_stream"] or ask.json_schema is not None
    return answers.Words(raw=given["raw"], hold=hold, quiet=given["quiet"])


async def answer(service: Service, ask: Ask, to: Sink, run_id: str) -> Generated:
    """Ask and write the answer. Whatever ends it early, the sink is told."""
    import anyio

    from mcp_llm.llm.generate import generate
    from mcp_llm.llm.progress import Progress

    from .answers import Words

    progress = Progress()
    try:
        async with anyio.create_task_group() as tasks:
            if isinstance(to, Words):
                tasks.start_soon(to.wait, progress)
            result = await generate(service, ask, run_id=run_id, progress=progress, on_chunks=to.take)
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        error = running.only(group)
        if not isinstance(error, terminal.Gone):
            to.fail(error)
        raise error from None
    except anyio.get_cancelled_exc_class():
        to.fail(running.Interrupted(2))
        raise
    to.finish(result)
    return result


def use_prompt(prompts: Prompts, name: str, arguments: dict[str, str], ask: Ask) -> None:
    """Put a prompt file in the place of the words; they fill its first needed argument, else they follow its body."""
    from mcp_llm.errors import InvalidInput

    found = prompts.all().get(name)
    if found is None:
        raise InvalidInput(f"there is no prompt {name!r}; there are {', '.join(prompts.all()) or 'none'}")
    text = ask.prompt if isinstance(ask.prompt, str) else ""
    wanting = next((one.name for one in found.front.arguments if one.required and one.name not in arguments), None)
    if text.strip() and wanting is not None:
        arguments, text = {**arguments, wanting: text}, ""
    body = found.render(arguments)
    ask.prompt = f"{body}\n{text}" if text.strip() else body
    ask.context = ask.context or found.front.context
    if ask.context != found.front.context or found.front.context is None:
        ask.model = ask.model or found.front.model or found.front.tier


async def _quote(service: Service, ask: Ask, *, as_json: bool) -> int:
    from mcp_llm.llm.generate import estimate
    from mcp_llm.types.result import dollars

    quote = await estimate(service, ask)
    if as_json:
        terminal.dump(quote)
        return 0
    least, most = (
        "unknown" if quote[name] is None else dollars(quote[name]) for name in ("usd_at_least", "usd_at_most")
    )
    terminal.line(f"{quote['provider']}:{quote['model']} ({quote['because']})")
    terminal.line(f"about {quote['input_tokens']:,} tokens in; cost: at least {least}, at most {most}")
    if quote["fallbacks"]:
        terminal.line(f"fallbacks: {', '.join(quote['fallbacks'])}")
    for words in quote["warnings"]:
        terminal.note(f"note: {words}")
    return 0
