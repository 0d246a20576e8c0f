"""Every public name says what it is: functions what they take and raise, values their fields, commands their options.

A parameter or field is explained where it stands in backticks in the docstring, or has words of its own. A docstring
that names another one ("Arguments are those of `agenerate_result`") is read together with it.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final, get_args

import click
import pytest
from documented import reference, shown
from documented.machine import command_exists

import mcp_llm
from mcp_llm import settings
from mcp_llm.server.tools import PACKS, tools
from mcp_llm.types import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import BaseModel

PLAIN: Final = {"self", "contents", "model"}
"""Said once, at the top of the page: what is asked, and who."""
CLASSES: Final = [getattr(mcp_llm, name) for name in mcp_llm.__all__ if inspect.isclass(getattr(mcp_llm, name))]
FUNCTIONS: Final = [name for name in mcp_llm.__all__ if inspect.isfunction(getattr(mcp_llm, name))]
HEAD: Final = frozenset({*events.Head.model_fields, "event"})


def words(thing: Any) -> str:
    """A docstring with those of the public functions that it names."""
    own = inspect.getdoc(thing) or ""
    named = {name for name in re.findall(r"`([a-z_]+)`", own) if name in FUNCTIONS}
    return "\n".join([own, *(inspect.getdoc(getattr(mcp_llm, name)) or "" for name in sorted(named))])


def explained(name: str, text: str) -> bool:
    return re.search(rf"`[^`]*\b{re.escape(name)}\b[^`]*`|^ +{re.escape(name)}: ", text, re.MULTILINE) is not None


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in FUNCTIONS:
        yield name, getattr(mcp_llm, name)
    for one in [*CLASSES, *reference.handed()]:
        for name, value in reference.members(one):
            if inspect.isfunction(value):
                yield f"{one.__name__}.{name}", value


@pytest.mark.parametrize(
    ("name", "function"), list(callables()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_function_says_what_it_takes_and_what_it_raises(name: str, function: Callable[..., Any]) -> None:
    text = words(function)
    assert inspect.getdoc(function), f"{name} has no docstring"
    taken = [one for one in inspect.signature(function).parameters.values() if one.kind is not one.VAR_KEYWORD]
    single = len(taken) == 1 + (taken[0].name == "self" if taken else 0)
    silent = [one.name for one in taken if one.name not in PLAIN and not explained(one.name, text)]
    assert silent == [] or single, f"{name}: nothing is said of {silent}"
    if "raise " in inspect.getsource(function):
        assert "Raises" in text, f"{name} raises, and does not say so"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_asks_somebody_says_which_errors_it_raises(name: str) -> None:
    assert re.search("Raises", words(getattr(mcp_llm, name))), name


@pytest.mark.parametrize("one", [*CLASSES, *reference.handed()], ids=lambda one: one.__name__)
def test_a_class_and_its_properties_say_what_they_are(one: type) -> None:
    assert one.__doc__
    silent = [name for name, value in reference.members(one) if not inspect.getdoc(getattr(value, "fget", value))]
    text = inspect.getdoc(one) or ""
    silent += [name for name, *_ in reference.attributes(one) if not explained(name.strip("`"), text)]
    assert silent == []


def values() -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = [*reference.results(), events.Head, *get_args(events.Event)]
    found += [one for one in vars(settings).values() if inspect.isclass(one) and issubclass(one, settings.Table)]
    found += [tool.fn_metadata.arg_model for tool in tools(tuple(PACKS))]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("one", values(), ids=lambda one: one.__name__)
def test_every_field_of_a_value_says_what_it_is(one: type[BaseModel]) -> None:
    text = "\n".join(shown.doc(base) for base in one.__mro__ if base.__module__.startswith("mcp_llm"))
    skipped = HEAD if issubclass(one, events.Head) and one is not events.Head else frozenset[str]()
    silent = [
        name
        for (_, _, usual, said), name in zip(shown.fields(one), one.model_fields, strict=True)
        if not said and usual and name not in skipped and not explained(name, text)  # a table in a table has its own
    ]
    assert silent == []


def leaves() -> list[tuple[str, click.Command]]:
    return [(name, one) for name, one in reference.commands() if not isinstance(one, click.Group)]


@pytest.mark.parametrize(("name", "one"), leaves(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_command_explains_every_option_and_shows_how_it_is_typed(name: str, one: click.Command) -> None:
    assert one.help
    assert [option.opts for option in one.params if isinstance(option, click.Option) and not option.help] == []
    above = dict(reference.commands()).get(name.rpartition(" ")[0])
    shown = f"{one.epilog or ''}{above.epilog or '' if above else ''}"
    assert "  mcp-llm " in shown, f"neither {name} nor its group has examples"


@pytest.mark.parametrize(
    "line",
    [line for _, one in reference.commands() for line in re.findall(r"^  .*mcp-llm .*$", one.epilog or "", re.M)],
)
def test_the_examples_in_the_help_name_commands_and_options_that_exist(line: str) -> None:
    for piece in re.split(r" [|;&]+ ", line.strip()):
        if piece.startswith("mcp-llm "):
            command_exists(piece)
