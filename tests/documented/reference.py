"""The pages of docs/reference, made of the code: `python tests/documented/reference.py` writes them, a test compares.

Words come from docstrings and descriptions, so a name without any is seen here first. Nothing is asked or started.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeGuard, get_args, get_origin

import click
from pydantic import BaseModel

import mcp_llm
from mcp_llm import errors as tree
from mcp_llm import settings
from mcp_llm.cli.commands import CODES, exit_code, group
from mcp_llm.server.tools import PACKS, tools
from mcp_llm.types import events

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as pytest has it, for a script of its own

from documented.shown import doc, fields, page, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "reference"

VARIABLES: Final = {
    "MCP_LLM_HOME": "one folder for config, `.env` and state, instead of the system's usual two",
    "MCP_LLM_MODEL": "the default model (`default`)",
    "MCP_LLM_PACKS": "tool packs, comma-separated (`packs`)",
    "MCP_LLM_ROOTS": "folders that files may be read from, separated as in PATH (`files.roots`)",
    "MCP_LLM_CALL_USD": "the most one call may cost (`budget.call_usd`)",
    "MCP_LLM_DAY_USD": "the most a UTC day may cost (`budget.day_usd`)",
    "MCP_LLM_SOFT_DEADLINE": "seconds after which a call hands back a run id (`soft_deadline`)",
    "MCP_LLM_DISCOVER": "`0`: do not look for model servers on this machine (`discover`)",
    "MCP_LLM_DEBUG": "`1`: the command line shows a traceback of an unforeseen error",
}


def settings_page() -> str:
    """Every setting."""
    parts = ["## Top level", doc(settings.Settings)]
    plain, tables = [], []
    for row, (name, field) in zip(fields(settings.Settings), settings.Settings.model_fields.items(), strict=True):
        inner = _table_of(field.annotation)
        plain.append(
            row if inner is None else (*row[:2], row[2] or "see below", row[3] or f"see `{inner.__name__}` below")
        )
        if inner is not None:
            many = get_origin(field.annotation) is dict
            tables.append((f"[{name}.NAME]" if many else f"[{name}]", inner))
    parts.append(table(("key", "type", "default", "what it is"), plain))
    tables += [("[servers.NAME.oauth]", settings.SignIn), ("[http.oauth]", settings.OAuth)]
    for title, model in tables:
        rows = table(("key", "type", "default", "what it is"), fields(model))
        parts += [f"## `{title}`", f"`{model.__name__}`. {doc(model)}", rows]
    named = [(f"`{name}`", words) for name, words in VARIABLES.items()]
    parts += ["## Environment variables", table(("variable", "what it sets"), named)]
    lead = (
        "Everything that `mcp_llm.toml` may say, with its type, unit and default. An unknown key is "
        "an error that names the nearest one. `mcp-llm config show --all` prints "
        "the values in force. Where the file lies and what wins over what: "
        "[Keys and trust](../concepts/keys-and-trust.md)."
    )
    return page("Settings", lead, *parts)


def _table_of(kind: Any) -> type[settings.Table] | None:
    options = [kind, *get_args(kind)]
    return next((one for one in options if inspect.isclass(one) and issubclass(one, settings.Table)), None)


def errors() -> list[type[tree.Error]]:
    """Every error, parents first."""
    found = [tree.Error]
    for one in found:
        found += [child for child in one.__subclasses__() if child.__module__ == tree.__name__]
    order = list(vars(tree).values())
    return sorted(found, key=order.index)


def errors_page() -> str:
    """Every error."""
    rows = [
        (
            f"`{one.kind}`",
            f"`{one.__name__}`",
            f"`{one.__bases__[0].__name__}`" if one is not tree.Error else "",
            "yes" if one.retryable else "no",
            str(exit_code(one.__new__(one))),
            doc(one),
        )
        for one in errors()
    ]
    lead = (
        "Every error that mcp-llm raises, as one tree below `mcp_llm.Error`. `kind` is the stable word: it stands in "
        "events, in the ledger, in `fallbacks`, and in JSON on the command line. *Again*: whether another attempt may "
        "help, so that retries and fallbacks are made of it. *Exit* is what the command line ends with. Mending each: "
        "[Troubleshooting](../guides/troubleshooting.md)."
    )
    return page("Errors", lead, table(("kind", "class", "below", "again", "exit", "what it means"), rows))


def commands_page() -> str:
    """Every command of the shell."""
    lead = (
        "Every command with its options, as `--help` has them. stdout is the answer, stderr is everything else. "
        "`mcp-llm` alone is `mcp-llm serve`."
    )
    codes = "## Exit codes\n\n```text\n" + inspect.cleandoc(CODES.replace("\b\nExit codes:\n", "")) + "\n```"
    return page("Commands", lead, codes, *(part for name, one in commands() for part in _command(name, one)))


def commands() -> Iterator[tuple[str, click.Command]]:
    waiting = [("mcp-llm", typing.cast("click.Command", group))]
    while waiting:
        name, one = waiting.pop(0)
        if isinstance(one, click.Group):
            below = [
                (f"{name} {sub}", one.get_command(click.Context(one), sub))
                for sub in one.list_commands(click.Context(one))
            ]
            waiting[:0] = [(full, found) for full, found in below if found is not None]
            if one is not group:
                yield name, one
        else:
            yield name, one


def _command(name: str, one: click.Command) -> list[str]:
    parts = [f"## {name}", _paragraphs(one.help or "")]
    shown = (
        "```text\n" + inspect.cleandoc((one.epilog or "").replace("\b\nExamples:\n", "")) + "\n```"
        if one.epilog
        else ""
    )
    if isinstance(one, click.Group):
        return [*parts, shown]
    usage = " ".join(one.collect_usage_pieces(click.Context(one, info_name=name)))
    parts.insert(1, f"`{name} {usage}`")
    rows = []
    for option in one.params:
        if isinstance(option, click.Option):
            record = option.get_help_record(click.Context(one, info_name=name))
            assert record is not None
            assert option.help, f"{name} {option.opts[-1]} has no help"
            shown = f"{record[1]}" + (f" [{option.default}]" if _worth_saying(option) else "")
            rows.append((f"`{record[0]}`", shown))
    parts.append(table(("option", "what it does"), rows) if rows else "")
    return [*parts, shown]


def _worth_saying(option: click.Option) -> bool:
    plain = isinstance(option.default, str | int | float) and not isinstance(option.default, bool)
    return plain and not option.is_flag and not option.show_default


def _paragraphs(words: str) -> str:
    return "\n\n".join(" ".join(piece.split()) for piece in inspect.cleandoc(words).replace("\b", "").split("\n\n"))


def tools_page() -> str:
    """Every tool."""
    lead = (
        "Every tool with its arguments. Packs besides `core` are switched on by `packs` in the settings, "
        "`MCP_LLM_PACKS` or `mcp-llm serve --packs`. A name is also understood with hyphens. What a result holds: "
        "[Results](results.md). An unknown argument is an error that names the nearest one."
    )
    parts = []
    for pack, members in PACKS.items():
        for tool in tools((pack,)):
            if tool.name not in members:
                continue
            hints = tool.annotations
            assert hints is not None
            said = {"read only": hints.read_only_hint, "may destroy": hints.destructive_hint}
            marks = ", ".join(word for word, yes in said.items() if yes) or "neither read only nor destructive"
            model = tool.fn_metadata.arg_model
            rows = table(("argument", "type", "default", "what it is"), fields(model))
            parts += [f"## {tool.name}", f"Pack `{pack}`; {marks}. {tool.description}", rows]
    return page("Tools", lead, *parts)


def events_page() -> str:
    """Every event."""
    lead = (
        "What happens in a run, one value each: the journal, `on_event`, `--jsonl`, `mcp-llm runs export` and the "
        "resource `runs://ID/events` have the same. `finish` or `error` comes exactly once, last. "
        "`mcp-llm runs schema` prints the JSON Schema."
    )
    parts = [
        "## In every event",
        doc(events.Head),
        table(("field", "type", "default", "what it is"), fields(events.Head)),
    ]
    head = frozenset({*events.Head.model_fields, "event"})
    for one in get_args(events.Event):
        rows = fields(one, without=head)
        parts += [f"## {one.model_fields['event'].default}", doc(one)]
        parts.append(table(("field", "type", "default", "what it is"), rows))
    return page("Events", lead, *parts)


def results_page() -> str:
    """What operations give."""
    lead = (
        "What asking gives, in Python as these classes, in tools as structured content and on the command line with "
        "`--json`. Unknown is null, never 0. Tools leave out what is null or empty, except `cost.usd`."
    )
    parts = []
    for one in results():
        parts += [f"## {one.__name__}", doc(one), table(("field", "type", "default", "what it is"), fields(one))]
    return page("Results", lead, *parts)


def results() -> list[type[BaseModel]]:
    from mcp_llm.agent.task import AgentResult
    from mcp_llm.compare import result as compared
    from mcp_llm.types import embed, image, media, result, speech, transcribe, video
    from mcp_llm.workflow.schema import TaskResult, WorkflowResult

    inside: list[type[BaseModel]] = [
        one for one in vars(compared).values() if _value(one) and one.__module__ == compared.__name__
    ]
    made: list[type[BaseModel]] = [media.Made, media.File, embed.Embedded, image.Painted, speech.Said]
    made += [transcribe.Transcribed, video.Filmed]
    asked: list[type[BaseModel]] = [
        result.Generated,
        result.Tokens,
        result.Cost,
        result.Call,
        result.Tried,
        AgentResult,
    ]
    return [*asked, *inside, WorkflowResult, TaskResult, *made]


def _value(thing: object) -> TypeGuard[type[BaseModel]]:
    return inspect.isclass(thing) and issubclass(thing, BaseModel)


def python_page() -> str:
    """Every public name of the package."""
    lead = (
        "Every public name of `mcp_llm`, from its docstring; `help(mcp_llm.generate)` says the same. The errors are "
        "those of [Errors](errors.md), the results those of [Results](results.md). A first tour: "
        "[Python](../guides/python-api.md)."
    )
    parts = [part for name in mcp_llm.__all__ for part in _public(name, getattr(mcp_llm, name))]
    given = [part for one in handed() for part in _public(one.__name__, one)]
    return page("Python", lead, *parts, "# What the functions hand you", *given)


def handed() -> list[type]:
    """Classes that nobody imports, because a function gives their objects."""
    from mcp_llm.llm.counting import TokenCount
    from mcp_llm.llm.realtime import Session
    from mcp_llm.provider import ProviderHandle
    from mcp_llm.streaming import Stream

    return [ProviderHandle, Session, Stream, TokenCount]


def attributes(thing: type) -> list[tuple[str, ...]]:
    """(name, type, default) of what an object has; the words are in the class's docstring."""
    if _value(thing):
        return [] if thing in results() else [row[:3] for row in fields(thing)]
    if not dataclasses.is_dataclass(thing):
        return []
    found: list[tuple[str, ...]] = []
    for one in dataclasses.fields(thing):
        made = one.default_factory is not dataclasses.MISSING
        usual = "" if made else "needed" if one.default is dataclasses.MISSING else f"`{one.default!r}`"
        if not one.name.startswith("_"):
            found.append((f"`{one.name}`", f"`{one.type}`", usual))
    return found


def _public(name: str, thing: Any) -> list[str]:
    if not inspect.isclass(thing):
        return [f"## {name}", f"```python\n{_signature(name, thing)}\n```", doc(thing)]
    rows = attributes(thing)
    parts = [f"## {name}", doc(thing), table(("field", "type", "default"), rows) if rows else ""]
    if thing in results():
        parts.append(f"Its fields: [Results](results.md#{name.lower()}).")
    for member, value in members(thing):
        if isinstance(value, property):
            parts.append(f"`.{member}`: {doc(value.fget)}")
        else:
            parts.append(f"`{_signature(member, value)}`: {doc(value)}")
    return parts


def members(thing: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that are the class's own."""
    for one in reversed(thing.__mro__):
        if one.__module__.startswith("mcp_llm"):
            for name, value in vars(one).items():
                plain = inspect.isfunction(value) or isinstance(value, property)
                if plain and not name.startswith("_") and name != "model_post_init":
                    yield name, value


def _signature(name: str, function: Callable[..., Any]) -> str:
    found = inspect.signature(function)
    given = [one.replace(annotation=_plain(one.annotation)) for one in found.parameters.values() if one.name != "self"]
    prefix = "async " if inspect.iscoroutinefunction(function) else ""
    back = "" if found.return_annotation is found.empty else f" -> {_plain(found.return_annotation)}"
    words = ", ".join(_parameters(given))
    if len(words) > 90:
        words = "\n    " + ",\n    ".join(_parameters(given)) + ",\n"
    return f"{prefix}{name}({words}){back}"


def _parameters(given: list[inspect.Parameter]) -> list[str]:
    found, star = [], False
    for one in given:
        if one.kind is one.KEYWORD_ONLY and not star:
            found.append("*")
            star = True
        mark = "**" if one.kind is one.VAR_KEYWORD else "*" if one.kind is one.VAR_POSITIONAL else ""
        kind = "" if one.annotation is one.empty else f": {one.annotation}"
        usual = "..." if callable(one.default) else repr(one.default)
        value = "" if one.default is one.empty else f" = {usual}" if kind else f"={usual}"
        found.append(f"{mark}{one.name}{kind}{value}")
    return found


class _Plain(str):
    """An annotation that is shown without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def _plain(annotation: Any) -> Any:
    if annotation is inspect.Parameter.empty or isinstance(annotation, _Plain):
        return annotation
    return _Plain(annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation)))


PAGES: Final[dict[str, Callable[[], str]]] = {
    "settings": settings_page,
    "errors": errors_page,
    "commands": commands_page,
    "tools": tools_page,
    "events": events_page,
    "results": results_page,
    "python": python_page,
}


def main() -> None:
    """Write them all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / f"{name}.md").write_text(make(), encoding="utf-8")
        sys.stdout.write(f"docs/reference/{name}.md\n")


if __name__ == "__main__":
    main()
