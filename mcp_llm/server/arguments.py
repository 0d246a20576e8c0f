"""What every tool's arguments have in common, as a pydantic model that pages and stored runs read too."""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias, Union, get_args, get_origin

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import ConfigDict, StringConstraints
from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

Name: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True)]
"""A model, an id: blanks around it are nobody's, whoever copied it out of a text."""


class Arguments(ArgModelBase):
    """The base of a tool's arguments: unknown names are errors."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

    @classmethod
    def given(cls, arguments: Mapping[str, Any]) -> Self:
        """What a host sent. Raises pydantic's ValidationError.

        Claude Desktop spells lists and objects as JSON in a string: those are read, and one text where a list of texts
        is meant (as vendors take `stop`) is a list of one. What is text stays as it is, whatever it looks like (the
        SDK's own reading makes an object of a prompt that is JSON, and then refuses it).
        """
        texts = _texts(cls)
        read = {
            name: _read(value, texts.get(name), listed=name in _lists(cls)) if isinstance(value, str) else value
            for name, value in arguments.items()
        }
        return cls.model_validate(read)


@cache
def _texts(cls: type[Arguments]) -> dict[str, tuple[type, ...]]:
    """The arguments that may be text -> of what else they may be a list."""
    found: dict[str, tuple[type, ...]] = {}
    for name, field in cls.model_fields.items():
        options = _options(field.annotation)
        if str in options:
            lists = [option for option in options if get_origin(option) is list]
            found[name] = tuple(get_origin(item) or item for option in lists for item in get_args(option))
    return found


@cache
def _lists(cls: type[Arguments]) -> frozenset[str]:
    """The arguments that are lists of texts and nothing else."""
    return frozenset(
        name
        for name, field in cls.model_fields.items()
        if (options := _options(field.annotation))
        and str not in options
        and any(get_origin(option) is list and str in _options(get_args(option)[0]) for option in options)
    )


def _options(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, or the one, without what is annotated to them."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(option for one in get_args(annotation) for option in _options(one))
    return (annotation,)


def _read(value: str, lists: tuple[type, ...] | None, *, listed: bool) -> Any:
    """A string as what it spells; `lists` None: it is not for text; `listed`: it is for texts."""
    if lists is not None and not (lists and value.lstrip().startswith("[")):
        return value
    try:
        found = from_json(value, allow_inf_nan=False)
    except ValueError:
        found = value
    if lists is not None:
        meant = isinstance(found, list) and found and all(isinstance(item, lists) and _meant(item) for item in found)
        return found if meant else value
    if listed and value.strip() and not isinstance(found, list | NoneType):
        return [value]
    return value if isinstance(found, str | int | float) else found


def _meant(item: Any) -> bool:
    """Whether it is for us: parts of a prompt have a type, and other objects are for the model to read."""
    return not isinstance(item, dict) or isinstance(item.get("type"), str)
