"""The commands by name, loaded when they are called, and the one place where an error becomes an exit code."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from typing import Final

import click

from mcp_llm import __version__
from mcp_llm.errors import (
    BudgetExceeded,
    ConfigError,
    Error,
    InvalidInput,
    ProviderError,
    SchemaMismatch,
    WorkflowError,
)
from mcp_llm.types.nearest import nearest

from . import running, terminal

TABLE: Final = {
    "serve": "Serve MCP on stdin and stdout, what no command at all does too; or over HTTP.",
    "ask": "Ask one model; the answer streams to stdout.",
    "chat": "Talk with a model, line by line; the conversation is kept.",
    "compare": "Ask several models the same; checks, judges, a tested verdict.",
    "agent": "Hand a task to an agent that uses tools of MCP servers.",
    "batch": "Ask many at once, from JSON lines or a folder; goes on after a kill.",
    "embed": "Turn texts into vectors.",
    "image": "Make pictures from words, or change given ones.",
    "workflow": "Run, check, draw and list YAML workflows of tasks that use one another's results.",
    "speak": "Speak a text aloud, into a file.",
    "video": "Make a short film from words and pictures.",
    "transcribe": "Write down what is said in a recording.",
    "talk": "Talk with a model that hears and speaks.",
    "models": "What can be asked: models, capabilities, context, prices.",
    "health": "Ask each configured provider whether it answers.",
    "usage": "What was spent, by model, provider, context, day, hour or run.",
    "ui": "Runs, usage and settings as pages in the browser, on this machine only.",
    "runs": "What is running or has run: wait, read, cancel, resume, answer; record, replay, compare.",
    "servers": "The MCP servers that agents use: what they offer, what changed, import from other programs.",
    "doctor": "What was found where, what is wrong, and how to mend it.",
    "config": "Show, find or begin the config file.",
    "prompts": "The prompts that `ask --prompt` knows.",
    "install": "Put this server into a host's settings: Claude, VS Code, Cursor, Codex, Gemini, Zed, Windsurf.",
    "token": "Make, list and revoke the tokens that `serve --http` takes.",
    "demo": "Start the server as a host would and show what it says; needs no key.",
}
"""Command -> its line in the help. The module of that name has it as `command`."""

CODES: Final = """\b
Exit codes:
  0    done
  1    something else went wrong; doctor: nothing but the demo can be asked
  2    wrong usage or configuration (a missing key, an unknown model, no prompt)
  3    the provider failed or refused
  4    the budget does not allow it
  5    the answer does not fit the schema
  130  interrupted (Ctrl-C); 141 whoever read stdout has gone
"""


class Lazy(click.Group):
    """A group that imports a command's module only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help."""
        return list(TABLE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, or None."""
        if cmd_name not in TABLE:
            return None
        command: click.Command = import_module(f"{__package__}.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names. Raises UsageError with the command that was probably meant."""
        name = args[0]
        if name in TABLE or name.startswith("-"):
            return super().resolve_command(ctx, args)
        near = nearest(name, TABLE, likeness=0.6 if len(args) == 1 else 0.8)  # many words are a prompt
        meant = f"mcp-llm {near[0]}" if near else 'mcp-llm ask "..."'
        raise click.UsageError(f"there is no command {name[:80]!r}. Did you mean `{meant}`?", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help, without loading anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(TABLE.items()))


@click.group(cls=Lazy, epilog=CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mcp-llm")
def group() -> None:
    """Every LLM from one command, and the MCP server that gives them to any host.

    stdout is the answer, stderr is everything else.
    """


def commands() -> None:
    """Run the command line and exit."""
    terminal.prepare()
    code: object
    try:
        code = group.main(_arguments(sys.argv[1:]), prog_name="mcp-llm", standalone_mode=False)
        terminal.flush()
    except click.ClickException as exc:
        _as_data("usage", exc.format_message())
        exc.show()
        code = exc.exit_code
    except Error as exc:
        if terminal.TOLD not in getattr(exc, "__notes__", ()):
            _as_data(exc.kind, str(exc))
        terminal.problem(str(exc))
        code = exit_code(exc)
    except running.Interrupted as exc:
        code = exc.code
    except (KeyboardInterrupt, click.Abort):
        terminal.note("")
        code = terminal.INTERRUPTED
    except terminal.Unwritable as exc:
        terminal.problem(str(exc))
        terminal.hush()
        code = 1
    except (terminal.Gone, BrokenPipeError):
        terminal.hush()
        code = terminal.GONE
    except Exception as exc:
        code = _unforeseen(exc)
    sys.exit(code if isinstance(code, int) else 0)


def _arguments(given: list[str]) -> list[str]:
    """`help` and `help ask` as the flag says it."""
    return [*given[1:2], "--help"] if given[:1] == ["help"] else given


def _as_data(kind: str, words: str) -> None:
    """Whoever asked for JSON reads stdout only: the error that came before there was an answer goes there too."""
    if "--json" in sys.argv[1:]:
        with suppress(terminal.Gone):
            terminal.dump({"error": {"kind": kind, "error": words}})


def exit_code(error: BaseException) -> int:
    """What the process ends with for an error of ours; the help lists them."""
    if isinstance(error, BudgetExceeded):
        return 4
    if isinstance(error, SchemaMismatch):
        return 5
    if isinstance(error, ProviderError):
        return 3
    return 2 if isinstance(error, ConfigError | InvalidInput | WorkflowError) else 1


def _unforeseen(error: Exception) -> int:
    from mcp_llm import config as configuration
    from mcp_llm.redactor import Redactor

    try:
        redacted = configuration.load().redactor
    except Error:  # broken settings have no keys
        redacted = Redactor()
    if configuration.debugging():
        from traceback import format_exception

        sys.stderr.write(redacted("".join(format_exception(error))))
        return 1
    words = redacted(str(error))[:500] or "no message"
    terminal.problem(f"unexpected {type(error).__name__}: {words}. Set MCP_LLM_DEBUG=1 to see where it happened.")
    return 1
