"""Python functions as tools: the schema from the signature, the description from the docstring.

Async functions run on the event loop, others in a worker thread. What they raise becomes an error result; what they
return becomes text (JSON where it is no string) or the parts themselves.
"""

from __future__ import annotations

import contextvars
import inspect
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import PydanticSerializationError, to_json

from mcp_llm.errors import ConfigError, Error
from mcp_llm.types.chat import ToolSpec
from mcp_llm.types.message import Media, Text, ToolResult
from mcp_llm.types.remembered import remembered

from . import text
from .base import Tool, Tools, failed, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mcp_llm.settings import Approval


@dataclass(frozen=True, slots=True)
class Function:
    """A function with what is said about it; the hints are as MCP defines them."""

    call: Callable[..., Any]
    name: str | None = None
    title: str | None = None
    description: str | None = None
    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None
    approval: Approval | None = None


@dataclass(frozen=True, slots=True)
class _Bound:
    function: Function
    tool: Tool
    model: type[BaseModel]
    names: dict[str, str]
    is_async: bool


class Functions:
    """A toolset of functions. Raises ConfigError for one whose signature no model can be told."""

    def __init__(self, functions: Iterable[Callable[..., Any] | Function]) -> None:
        self._bound: dict[str, _Bound] = {}
        for given in functions:
            function = given if isinstance(given, Function) else Function(given)
            bound = _bind(function)
            if bound.tool.name in self._bound:
                raise ConfigError(f"Two functions are named {bound.tool.name!r}: give one another `name`.")
            self._bound[bound.tool.name] = bound

    async def list(self) -> Tools:
        """The functions in the order given."""
        return [bound.tool for bound in self._bound.values()]

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        call_id: str = "",
        meta: dict[str, Any] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> ToolResult:
        """Run the function with validated arguments."""
        bound = self._bound.get(name)
        if bound is None:
            return failed(call_id, name, f"There is no tool {name!r}. There are: {', '.join(self._bound) or 'none'}.")
        try:
            taken = bound.model.model_validate(arguments)
        except ValidationError as wrong:
            return failed(call_id, name, _sentence(name, wrong))
        given = {bound.names[field]: getattr(taken, field) for field in bound.names}
        try:
            if bound.is_async:
                value = await bound.function.call(**given)
            else:
                context = contextvars.copy_context()
                value = await anyio.to_thread.run_sync(
                    partial(context.run, partial(bound.function.call, **given)), abandon_on_cancel=True
                )
                if inspect.isawaitable(value):
                    value = await value
            return ToolResult(call_id, name, _parts(value))
        except Error as error:
            return failed(call_id, name, str(error))
        except (Exception, SystemExit) as error:  # an exit would end the loop that everybody runs on
            return failed(call_id, name, text.cut(f"{name} failed: {type(error).__name__}: {error}", 2048))


@remembered
def _signed(call: Callable[..., Any], name: str) -> tuple[type[BaseModel], dict[str, str], dict[str, Any]]:
    """A model of the parameters, their names by its fields, and their schema: a millisecond of work."""
    try:
        signature = inspect.signature(call, eval_str=True)
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(f"The signature of the tool {name!r} cannot be read: {error}") from None
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    for parameter in signature.parameters.values():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY}:
            raise ConfigError(
                f"The tool {name!r} takes {parameter}: a tool's parameters are named one by one, so write them out."
            )
        kind = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = ... if parameter.default is parameter.empty else parameter.default
        # pydantic keeps `_x` and names such as `schema` for itself: fields get neutral names and the real one as alias.
        field = f"p{len(fields)}"
        names[field] = parameter.name
        fields[field] = (kind, default)
    config = ConfigDict(extra="forbid", alias_generator=names.__getitem__)
    try:
        model: type[BaseModel] = create_model(f"{name}Arguments", __config__=config, **fields)
        schema = model.model_json_schema(by_alias=True)
    except Exception as error:  # pydantic has many ways to say that it cannot describe a type
        raise ConfigError(f"The parameters of the tool {name!r} cannot be told to a model: {error}") from None
    schema.pop("title", None)
    for inner in schema.get("properties", {}).values():
        inner.pop("title", None)
    schema.setdefault("properties", {})
    return model, names, schema


def _bind(function: Function) -> _Bound:
    call = function.call
    name = str(function.name or getattr(call, "__name__", ""))
    model, names, schema = _signed(call, name)
    description = function.description or inspect.getdoc(call) or ""
    hints = {
        "read_only": function.read_only,
        "destructive": function.destructive,
        "idempotent": function.idempotent,
        "open_world": function.open_world,
    }
    tool = Tool(
        spec=ToolSpec(name=name, description=description, parameters=schema),
        title=function.title,
        fingerprint=fingerprint(name, function.title, description, schema, hints),
        approval=function.approval,
        read_only=function.read_only,
        destructive=function.destructive,
        idempotent=function.idempotent,
        open_world=function.open_world,
    )
    is_async = inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004
    return _Bound(function, tool, model, names, is_async)


def _parts(value: Any) -> tuple[Text | Media, ...]:
    if value is None:
        return (Text("done"),)
    if isinstance(value, str):
        return (Text(value),)
    if isinstance(value, Text | Media):
        return (value,)
    if isinstance(value, tuple | list) and value and all(isinstance(part, Text | Media) for part in value):
        return tuple(value)
    if isinstance(value, ToolResult):
        return value.parts
    try:
        return (Text(to_json(value, inf_nan_mode="null").decode()),)
    except PydanticSerializationError:
        return (Text(str(value)),)


def _sentence(name: str, wrong: ValidationError) -> str:
    listed = "\n".join(
        f"- {'.'.join(str(piece) for piece in error['loc']) or 'arguments'}: {error['msg']}"
        for error in wrong.errors(include_url=False, include_input=False)[:5]
    )
    return f"The arguments of {name} do not fit, so it was not called:\n{listed}\nCall it again with corrected ones."
