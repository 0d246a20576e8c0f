"""What every tool's arguments have in common, as a pydantic model that pages and stored runs read too."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Self, get_args, get_origin

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import ConfigDict
from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping


class Arguments(ArgModelBase):
    """The base of a tool's arguments: unknown names are errors."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

    @classmethod
    def given(cls, arguments: Mapping[str, Any]) -> Self:
        """What a host sent. Raises pydantic's ValidationError.

        Claude Desktop spells lists and objects as JSON in a string: those are read. What is text stays as it is,
        whatever it looks like (the SDK's own reading makes an object of a prompt that is JSON, and then refuses it).
        """
        texts = _texts(cls)
        read = {
            name: _read(value, texts.get(name)) if isinstance(value, str) else value
            for name, value in arguments.items()
        }
        return cls.model_validate(read)


@cache
def _texts(cls: type[Arguments]) -> dict[str, tuple[type, ...]]:
    """The arguments that may be text -> of what else they may be a list."""
    found: dict[str, tuple[type, ...]] = {}
    for name, field in cls.model_fields.items():
        options = get_args(field.annotation) or (field.annotation,)
        if str in options and get_origin(field.annotation) is not list:
            lists = [option for option in options if get_origin(option) is list]
            found[name] = tuple(get_origin(item) or item for option in lists for item in get_args(option))
    return found


def _read(value: str, lists: tuple[type, ...] | None) -> Any:
    """A string as what it spells; `lists` None: it is not for text."""
    if lists is not None and not (lists and value.lstrip().startswith("[")):
        return value
    try:
        found = from_json(value, allow_inf_nan=False)
    except ValueError:
        return value
    if lists is None:
        return value if isinstance(found, str | int | float) else found
    return found if found and all(isinstance(item, lists) and _meant(item) for item in found) else value


def _meant(item: Any) -> bool:
    """Whether it is for us: parts of a prompt have a type, and other objects are for the model to read."""
    return not isinstance(item, dict) or isinstance(item.get("type"), str)
