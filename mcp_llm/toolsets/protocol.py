"""Providers as objects: whatever has `handle_request(method, params)`, called the same way by everybody.

`request` takes bare and prefixed method names, reads `file_path` and `image_path` beneath the allowed folders, and
checks that the answer is JSON. `Provided` offers such objects' methods as tools. Nothing here knows a model.
"""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Disconnected, Error, InvalidInput, Timeout, ToolFailed, UnsupportedMethod
from mcp_llm.types.chat import ToolSpec
from mcp_llm.types.message import Media, Text, ToolResult

from . import text
from .base import Tool, Tools, failed, fingerprint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from mcp_llm.types.message import Part
    from mcp_llm.types.result import Generated

    Attach = Callable[[Sequence[Any]], Awaitable[tuple[list[Part], list[str]]]]
    Ready = Callable[[str], Awaitable[None]]

_HINTS: Final = ("read_only", "destructive", "idempotent", "open_world")
_ANY: Final[dict[str, Any]] = {"type": "object", "additionalProperties": True}


class ProtocolProvider(ABC):
    """A provider to derive from; anything else with the same two methods at the end will do as well.

    `provider_id` is the name it goes by, `protocol_id` what it speaks (`llm/v1`, `python/v1`, one of your own).
    `initialize` is awaited once, before the first request, `shutdown` when the process closes.
    """

    def __init__(
        self, provider_id: str, protocol_id: str = "llm/v1", name: str | None = None, description: str = ""
    ) -> None:
        self.provider_id = provider_id
        self.protocol_id = protocol_id
        self.name = name or provider_id
        self.description = description

    async def initialize(self) -> None:
        """Open what requests need; here nothing."""
        return

    async def shutdown(self) -> None:
        """Close it; here nothing."""
        return

    async def health_check(self) -> dict[str, Any]:
        """`{"status": "healthy" | "degraded" | "unhealthy", "details": ...}`."""
        return {"status": "healthy", "details": {}}

    @abstractmethod
    def get_supported_methods(self) -> list[str]:
        """The methods, prefixed: `["llm/chat", "llm/generate"]`."""

    @abstractmethod
    async def handle_request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answer the `method` with what JSON can say; of an `llm/` method at least `response`, the words.

        `params` are the caller's, files already read.

        Raises `ValueError("Unsupported method: X")` for a method that it does not have.
        """


def methods(provider: Any) -> list[str]:
    """What the object says it can do; empty where it says nothing. Raises ToolFailed where it cannot say."""
    said = getattr(provider, "get_supported_methods", None)
    if not callable(said):
        return []
    try:
        return [str(one) for one in said()]
    except Exception as exc:
        raise _failure(type(provider).__name__, "get_supported_methods", exc) from exc


def spelled(provider: Any, method: str) -> str:
    """A method, bare or prefixed, as the object itself calls it. Raises UnsupportedMethod."""
    known = methods(provider)
    if not known or method in known:
        return method
    prefix = str(getattr(provider, "protocol_id", "llm/v1")).partition("/")[0]
    bare = method.rpartition("/")[2]
    if (own := f"{prefix}/{bare}") in known and method in {bare, own}:
        return own
    fitting = [one for one in known if one.rpartition("/")[2] == bare] if "/" not in method else []
    if len(fitting) == 1:
        return fitting[0]
    if "/" in method and bare in known:
        return bare
    raise UnsupportedMethod(method, known)


async def request(
    provider: Any, method: str, params: Mapping[str, Any], *, attach: Attach, name: str = ""
) -> dict[str, Any]:
    """Ask the object. What it raises becomes an error of ours; what it answers is checked to be JSON.

    Raises UnsupportedMethod, InvalidInput and Denied for files, ToolFailed, and where the object lost its connection
    or its time the errors that may be tried again.
    """
    name = name or str(getattr(provider, "provider_id", type(provider).__name__))
    called = spelled(provider, method)
    given = await _with_files(dict(params), attach)
    try:
        answer = provider.handle_request(called, given)
        if inspect.isawaitable(answer):
            answer = await answer
        plain = json.loads(json.dumps(answer, allow_nan=False))
    except Error:
        raise
    except TimeoutError as exc:
        raise Timeout(_said(exc, "it took too long"), provider=name) from exc
    except ConnectionError as exc:
        raise Disconnected(_said(exc, "its connection was lost"), provider=name) from exc
    except Exception as exc:
        if isinstance(exc, ValueError) and str(exc).startswith("Unsupported method"):
            raise UnsupportedMethod(called, methods(provider)) from exc
        raise _failure(name, called, exc) from exc
    found: dict[str, Any] = plain if isinstance(plain, dict) else {"response": plain}
    return _complete(found, name) if called.startswith("llm/") and "embedding" not in found else found


def _complete(found: dict[str, Any], name: str) -> dict[str, Any]:
    """An answer in words, with every field that such an answer has; what it did not say is null."""
    words = found.get("response", found.get("content"))
    empty: dict[str, Any] = {"model": None, "tokens_used": None, "metadata": {}}
    return {**empty, "provider_id": name, **found, "response": words, "content": found.get("content", words)}


def _failure(name: str, method: str, error: Exception) -> ToolFailed:
    return ToolFailed(text.cut(f"{name} failed at {method}: {type(error).__name__}: {error}", 2048))


def _said(error: Exception, otherwise: str) -> str:
    return text.cut(str(error) or otherwise, 500)


async def _with_files(params: dict[str, Any], attach: Attach) -> dict[str, Any]:
    """The parameters with their files read: text is appended to what is said, pictures are given as base64."""
    paths = [one for key in ("file_path", "image_path") for one in _listed(params.pop(key, None))]
    if not paths:
        return params
    parts, _ = await attach(paths)
    for part in parts:
        if isinstance(part, Text):
            _append(params, part.text)
        elif isinstance(part, Media) and part.data is not None:
            key = "images" if part.modality == "image" else "media"
            piece = part.data if key == "images" else {"mime": part.mime, "data": part.data}
            params[key] = [*(params.get(key) or []), piece]
    if params.get("images"):
        params.setdefault("image_data", params["images"][0])
    return params


def _listed(value: Any) -> list[Any]:
    return [] if value is None or value == "" else list(value) if isinstance(value, list | tuple) else [value]


def _append(params: dict[str, Any], words: str) -> None:
    turns = params.get("messages")
    last = turns[-1] if isinstance(turns, list) and turns else None
    if "prompt" not in params and isinstance(last, dict) and isinstance(last.get("content"), str):
        params["messages"] = [*turns[:-1], {**last, "content": f"{last['content']}\n\n{words}"}]  # type: ignore[index]  # a list: `last` is of it
        return
    said = params.get("prompt") or ""
    if not isinstance(said, str):
        raise InvalidInput("`file_path` is appended to `prompt`, which has to be text")
    params["prompt"] = f"{said}\n\n{words}" if said else words


def reply(given: Generated) -> dict[str, Any]:
    """An answer of ours in the shape that these objects answer in: its own fields and `content`, `tokens_used`, ..."""
    data = given.model_dump(mode="json", exclude_none=True)
    return data | {
        "content": given.response,
        "model": given.model_used,
        "provider_id": given.provider,
        "tokens_used": given.usage.total,
        "metadata": {"run_id": given.run_id, "cost": data["cost"], "finish_reason": given.finish_reason},
    }


REPLY: Final = frozenset({"content", "provider_id", "tokens_used", "metadata"})
"""What `reply` adds to the fields of a result."""


def described(provider: Any, method: str) -> dict[str, Any]:
    """What the object says of a method, by `get_method_schema(method)`: `description`, `parameters`, and hints.

    Raises ToolFailed where it cannot say, or gives parameters that JSON cannot say.
    """
    said = getattr(provider, "get_method_schema", None)
    if not callable(said):
        return {}
    try:
        found = said(method)
        if not isinstance(found, dict):
            return {}
        json.dumps(found.get("parameters"), allow_nan=False)
    except Exception as exc:
        raise _failure(type(provider).__name__, f"get_method_schema({method!r})", exc) from exc
    return found


def tool(provider: Any, method: str, name: str) -> Tool:
    """A method as it is offered to a model."""
    said = described(provider, method)
    about = str(getattr(provider, "description", "") or getattr(provider, "name", "") or name)
    words = str(said.get("description") or f"{method} of {about}")
    parameters = said.get("parameters") if isinstance(said.get("parameters"), dict) else _ANY
    hints = {hint: value if isinstance(value := said.get(hint), bool) else None for hint in _HINTS}
    return Tool(
        spec=ToolSpec(name=name, description=words, parameters=dict(parameters or _ANY)),
        fingerprint=fingerprint(name, None, words, parameters or _ANY, hints),
        read_only=hints["read_only"],
        destructive=hints["destructive"],
        idempotent=hints["idempotent"],
        open_world=hints["open_world"],
    )


class Provided:
    """A toolset of objects by name: `weather` with `weather/now` gives the tool `weather__now`.

    `notes` say which of them offer nothing because they could not say what they can do.
    """

    def __init__(self, providers: Mapping[str, Any], *, attach: Attach, ready: Ready) -> None:
        self._providers = dict(providers)
        self._attach = attach
        self._ready = ready
        self.notes: list[str] = []
        self._routes: dict[str, tuple[str, str]] = {}

    async def list(self) -> Tools:
        """The methods of all of them; an object that fails costs its own."""
        found: Tools = []
        self.notes = []
        for name, provider in self._providers.items():
            try:
                found += [self._tool(name, method) for method in methods(provider)]
            except ToolFailed as exc:
                self.notes.append(f"The provider {name!r} offers no tools: {exc}")
        return found

    def _tool(self, name: str, method: str) -> Tool:
        offered = f"{name}__{method.rpartition('/')[2]}"
        if offered in self._routes and self._routes[offered] != (name, method):
            offered = f"{name}__{method.replace('/', '_')}"
        made = tool(self._providers[name], method, offered)
        self._routes[offered] = (name, method)
        return made

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        call_id: str = "",
        meta: dict[str, Any] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> ToolResult:
        """Ask the object."""
        if not self._routes:
            await self.list()
        if (route := self._routes.get(name)) is None:
            return failed(call_id, name, f"There is no tool {text.line(name, 100)!r}.")
        owner, method = route
        try:
            await self._ready(owner)
            answer = await request(self._providers[owner], method, arguments, attach=self._attach, name=owner)
        except Error as exc:
            return failed(call_id, name, str(exc))
        words = answer.get("response")
        said = words if isinstance(words, str) else json.dumps(answer, ensure_ascii=False)
        return ToolResult(call_id, name, (Text(said),))
