"""`mcp-llm chat`: a conversation on one kept thread, for a person at a terminal or lines from a pipe."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import click

from . import running, terminal, written
from .ask import EFFORTS, answer
from .commands import exit_code

if TYPE_CHECKING:
    from mcp_llm.llm.service import Service
    from mcp_llm.types.result import Generated

HELP: Final = """\
/model NAME    ask another model from now on      /system TEXT   the system's words (nothing: none)
/file PATH     attach to the next message         /thread new|ID another conversation (nothing: which one)
/usage         what this session used             /quit          end (so does Ctrl-D)
A line that ends with \\ goes on; // at its beginning is a plain /."""


@dataclass(slots=True)
class Talk:
    """What holds from one turn to the next."""

    service: Service
    model: str | None
    system: str | None
    given: dict[str, Any]
    thread: str = "new"
    files: list[Any] = field(default_factory=list)
    turns: list[Generated] = field(default_factory=list)
    code: int = 0

    async def say(self, text: str) -> None:
        """One turn; an error ends the turn, not the talk."""
        from mcp_llm.errors import Error
        from mcp_llm.llm.generate import Ask

        from .answers import Words

        ask = Ask(
            prompt=text,
            model=self.model,
            system=self.system,
            files=self.files,
            thread=self.thread,
            context=self.given["context"],
            effort=self.given["effort"],
            temperature=self.given["temperature"],
            max_tokens=self.given["max_tokens"],
            budget_usd=self.given["budget_usd"],
        )
        words = Words(raw=self.given["raw"], quiet=self.given["quiet"])
        try:
            result = await running.attended(lambda: answer(self.service, ask, words, uuid4().hex))
        except running.Interrupted as exc:
            terminal.problem("interrupted; this turn is not part of the conversation")
            if exc.code != terminal.INTERRUPTED:
                raise
            return
        except Error as exc:
            terminal.problem(str(exc))
            self.code = self.code or exit_code(exc)
            return
        self.turns.append(result)
        self.thread, self.files = result.thread or self.thread, []

    async def obey(self, command: str, rest: str) -> bool:
        """A line that begins with a slash; False ends the talk."""
        if command in {"quit", "exit", "q"}:
            return False
        if command == "model":
            if rest:
                await self.service.plan(rest, None)  # an unknown name is told now
                self.model = rest
            terminal.note(f"model: {self.model or 'the default'}")
        elif command == "system":
            self.system = rest or None
            terminal.note(f"system: {self.system or 'none'}")
        elif command == "file":
            self.files += written.files([rest], self.service.config) if rest else []
            terminal.note(f"{len(self.files)} file(s) go with the next message")
        elif command == "thread":
            if rest and rest != "new":
                await self.service.threads.open(rest, "local")
            self.thread = rest or self.thread
            terminal.note("thread: " + ("a new one with the next message" if self.thread == "new" else self.thread))
        elif command == "usage":
            terminal.note(self.used())
        else:
            terminal.note(HELP if command == "help" else f"there is no /{command}; /help lists what there is")
        return True

    def used(self) -> str:
        """The session's sums; a sum of which a part is unknown says so."""
        priced = [one.cost.usd for one in self.turns if one.cost.usd is not None]
        unknown = len(self.turns) - len(priced)
        from mcp_llm.types.result import dollars

        known = dollars(sum(priced)) if priced or not unknown else ""
        cost = " + ".join(words for words in (known, f"{unknown} of unknown price" if unknown else "") if words)
        tokens_in, tokens_out = (_sum([getattr(one.usage, name) for one in self.turns]) for name in ("input", "output"))
        return f"{len(self.turns)} answer(s) · {tokens_in} tokens in · {tokens_out} out · {cost}"


def _sum(counts: list[int | None]) -> str:
    known = f"{sum(count for count in counts if count is not None):,}"
    return f"{known} + ?" if None in counts else known


EXAMPLES: Final = """\b
Examples:
  mcp-llm chat -m demo
  mcp-llm chat --thread ID --budget-usd 0.10
"""


@click.command(epilog=EXAMPLES)
@click.option("-m", "--model", help="provider:model, a model's id, an alias, pro|balanced|lite, or auto.")
@click.option("-s", "--system", help="The system's words.")
@click.option("--thread", default="new", metavar="new|ID", help="Go on with a kept conversation.")
@click.option("--context", metavar="NAME", help="Routing context.")
@click.option("--temperature", type=float, help="As the vendor defines it; not sent unless given.")
@click.option("--max-tokens", type=click.IntRange(1), help="The longest an answer may be.")
@click.option("--effort", type=click.Choice(EFFORTS), help="How much it should reason.")
@click.option("--budget-usd", type=click.FloatRange(0), help="The most one turn may cost.")
@click.option("--raw", is_flag=True, help="Do not escape control characters on a terminal.")
@click.option("-q", "--quiet", is_flag=True, help="No thinking, no progress, no receipts.")
def command(**given: Any) -> int:
    """Talk with a model. /help lists what a line can do besides being said; Ctrl-C stops an answer, Ctrl-D ends."""

    async def work(service: Service) -> int:
        if given["thread"] != "new":
            await service.threads.open(given["thread"], "local")  # an unknown one is told before the first turn
        return await _talk(Talk(service, given["model"], given["system"], given, given["thread"]))

    try:
        return running.run(work, running.load(), signals=False)
    except running.Interrupted as exc:
        return exc.code


async def _talk(talk: Talk) -> int:
    from mcp_llm.errors import Error

    person = sys.stdin.isatty()
    # Between turns nothing runs, so waiting for a line may block the loop; Ctrl-C has to raise there.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if person:
        terminal.note("/help lists the commands, Ctrl-D ends", dim=True)
    while (text := _line(person=person)) is not None:
        if not text.strip():
            continue
        if text.startswith("/") and not text.startswith("//"):
            name, _, rest = text[1:].partition(" ")
            try:
                if not await talk.obey(name.strip().lower(), rest.strip()):
                    break
            except (Error, click.BadParameter) as exc:
                terminal.problem(exc.format_message() if isinstance(exc, click.BadParameter) else str(exc))
                talk.code = talk.code or 2
            continue
        await talk.say(text[1:] if text.startswith("//") else text)
    if talk.thread != "new" and not talk.given["quiet"]:
        terminal.note(f"thread {talk.thread}", dim=True)
    return 0 if person else talk.code


def _line(*, person: bool) -> str | None:
    """The next message, continued where a line ends with a backslash; None at the end."""
    lines: list[str] = []
    while True:
        try:
            line = _typed("> " if not lines else ". ") if person else _piped()
        except KeyboardInterrupt:
            terminal.note("")
            lines.clear()
            continue
        if line is None:
            return "\n".join(lines) if lines else None
        if not line.endswith("\\"):
            return "\n".join([*lines, line])
        lines.append(line[:-1])


def _typed(prompt: str) -> str | None:
    with suppress(ImportError):
        import readline  # noqa: F401 - gives `input` history and editing
    try:
        return input(prompt)
    except EOFError:
        terminal.note("")
        return None


def _piped() -> str | None:
    data = sys.stdin.buffer.readline()
    return data.decode("utf-8", "replace").rstrip("\r\n") if data else None
