"""Providers that are code, not an address: the built-in demo and whatever `register_provider` or a plugin adds.

A backend is any object with `stream(request, model)` giving chunks. Objects in other shapes people already have -
`generate(messages, ...)`, `completion(prompt, model, ...)`, `handle_request(method, params)` - are wrapped by `adapt`.
"""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import anyio

from mcp_llm.errors import ConfigError
from mcp_llm.types.chat import Delta, End
from mcp_llm.types.message import Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from mcp_llm.types.chat import ChatRequest, Chunk
    from mcp_llm.wires.base import ModelInfo

logger = logging.getLogger(__name__)

GROUP: Final = "mcp_llm.providers"
"""The entry-point group in which a plugin names its provider: `name = "package.module:Class"`."""

SHAPES: Final = ("stream", "generate", "completion", "handle_request")
"""The method a provider may have, the first that it has counts."""

THREADS: Final = 64
"""Calls of one provider whose method is not async that run at once; those that hang take nobody else's threads."""


@runtime_checkable
class Backend(Protocol):
    """A provider in code. `stream` gives deltas and, last, one `End`; it raises the errors of `mcp_llm.errors`."""

    def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        """The answer of this model; iterating may be cancelled at any moment."""
        ...


@runtime_checkable
class Keeper(Protocol):
    """A backend that keeps models of its own."""

    def models(self) -> list[ModelInfo]:
        """What can be asked now; empty where something is lacking."""
        ...

    def lacking(self) -> str:
        """What has to be done before a model can be asked, as half a sentence."""
        ...

    async def aclose(self) -> None:
        """Give back what the models hold; the next request may load them again."""
        ...


@dataclass(slots=True)
class Backends:
    """Backends by provider id; plugins are loaded when one of them is first asked for.

    `builtin` makes those that come with the package, each when it is first asked for.
    """

    builtin: dict[str, Callable[[], Backend]] = field(default_factory=lambda: {"demo": _demo})
    _objects: dict[str, Any] = field(default_factory=dict)
    _adapted: dict[str, Backend] = field(default_factory=dict)
    _ready: dict[str, anyio.Lock | None] = field(default_factory=dict)
    """None: it is initialized; a lock while that is under way."""

    def register(self, name: str, provider: object) -> None:
        """Add or replace a provider; a class is built when it is first asked."""
        check(name, provider)
        self._objects[name] = provider
        self._adapted.pop(name, None)
        self._ready.pop(name, None)

    def plugins(self) -> list[str]:
        """The names of the installed plugins. Nothing of theirs is loaded; looking takes milliseconds."""
        return [name for name in _plugins() if _usable(name)]

    def speakers(self) -> dict[str, Any]:
        """The registered objects that have `handle_request`, by name; classes are built."""
        return {name: self._instance(name) for name in self._objects if hasattr(self._objects[name], "handle_request")}

    def _instance(self, name: str) -> Any:
        if inspect.isclass(found := self._objects.get(name)):
            found = self._objects[name] = found()
        return found

    async def ready(self, name: str) -> None:
        """Await the object's `initialize`, once, before it is first asked; where that fails, again the next time."""
        lock = self._ready.setdefault(name, anyio.Lock())
        if lock is None or not callable(begin := getattr(self._instance(name), "initialize", None)):
            return
        async with lock:
            if self._ready.get(name) is not None:
                await begin()
                self._ready[name] = None

    def get(self, name: str) -> Backend | None:
        """The backend of this name, or None when the provider is no code of ours."""
        if (backend := self._adapted.get(name)) is not None:
            return backend
        provider = self._instance(name)
        if provider is None and (make := self.builtin.get(name)) is not None:
            provider = make()
        if provider is None and (entry := _plugins().get(name)) is not None:
            provider = _loaded(entry)
        if provider is None:
            return None
        made = provider() if inspect.isclass(provider) else provider
        self._adapted[name] = backend = adapt(made, lambda: self.ready(name))
        return backend

    def models(self, name: str) -> list[ModelInfo] | None:
        """What a built-in backend that keeps models itself can be asked for; None for any other."""
        keeper = self._keeper(name)
        return None if keeper is None else keeper.models()

    def lacking(self, name: str) -> str | None:
        """What has to be done before a built-in one that keeps models has any."""
        keeper = self._keeper(name)
        return None if keeper is None else keeper.lacking()

    def _keeper(self, name: str) -> Keeper | None:
        if name not in self.builtin or name in self._objects:
            return None
        backend: object = self.get(name)
        return backend if isinstance(backend, Keeper) else None

    async def aclose(self) -> None:
        """Let all give back what they hold; one that fails does not keep the others open."""
        for name in [name for name, lock in self._ready.items() if lock is None]:
            if callable(end := getattr(self._objects.get(name), "shutdown", None)):
                try:
                    await end()
                except Exception:
                    logger.exception("the provider %s could not be closed", name)
        self._ready.clear()
        for name in self.builtin.keys() & self._adapted.keys():
            keeper = self._keeper(name)
            if keeper is not None:
                await keeper.aclose()

    def doing(self, name: str, operation: str) -> Callable[[Any, str], Awaitable[Any]] | None:
        """What a provider in code does for an operation: its async method of that name, or None."""
        provider = self._objects.get(name)
        if provider is None and name == "demo":
            provider = import_module(f"{__name__}.demo_media")
        if provider is None and name in self.builtin:
            provider = self.get(name)
        found = getattr(provider, operation, None)
        return found if callable(found) else None


def _demo() -> Backend:
    from .demo import Demo

    return Demo()


def _plugins() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _usable(name: str) -> bool:
    return name.replace("_", "").replace("-", "").isalnum()


def _loaded(entry: Any) -> Any:
    try:
        return entry.load()
    except (ImportError, AttributeError, SyntaxError) as exc:
        raise ConfigError(
            f"the plugin of the provider {entry.name!r} ({entry.value}) cannot be loaded: {exc}. Mend or uninstall it."
        ) from exc


def check(name: str, provider: object) -> None:
    """Raises ConfigError for a name that no `name:model` can begin with, and for an object in none of the shapes."""
    if not _usable(name):
        raise ConfigError(f"{name!r} is no provider name: use letters, digits, '-' and '_'")
    if not any(callable(getattr(provider, shape, None)) for shape in SHAPES):
        raise _shapeless(provider)


def adapt(provider: object, ready: Callable[[], Awaitable[None]] | None = None) -> Backend:
    """A backend made of what the object has: `stream`, `generate`, `completion` or `handle_request`."""
    for name in SHAPES:
        if callable(method := getattr(provider, name, None)):
            if name == "stream" and list(inspect.signature(method).parameters)[:2] == ["request", "model"]:
                return provider  # type: ignore[return-value]  # the signature was just checked
            if name == "handle_request":
                from .requested import Requested

                return Requested(provider, ready)
            if name != "stream":
                return _Plain(method, prompt=name == "completion")
    raise _shapeless(provider)


def _shapeless(provider: object) -> ConfigError:
    kind = provider if inspect.isclass(provider) else type(provider)
    return ConfigError(
        f"{kind.__name__} is no provider: it needs `stream(request, model)`, "
        "`generate(messages, model, settings)`, `completion(prompt, model, temperature, max_tokens)` or "
        "`handle_request(method, params)`"
    )


class _Plain:
    """A function that answers whole, as a stream of one."""

    def __init__(self, method: Any, *, prompt: bool) -> None:
        self._method = method
        self._prompt = prompt
        self._takes = inspect.signature(method).parameters
        self._threads = anyio.CapacityLimiter(THREADS)

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        call = partial(self._method, **self._arguments(request, model))
        if inspect.iscoroutinefunction(self._method):
            answer = await call()
        else:  # it may wait for a network: neither the other calls nor this one's own deadline wait with it
            answer = await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._threads)
        if inspect.isawaitable(answer):
            answer = await answer
        text = answer if isinstance(answer, str) else getattr(answer, "content", None) or getattr(answer, "text", None)
        if not isinstance(text, str):
            raise ConfigError(
                f"the provider gave a {type(answer).__name__}; it has to give a string or have `.content`"
            )
        yield Delta(0, Text(text))
        yield End(stop="stop", model=model)

    def _arguments(self, request: ChatRequest, model: str) -> dict[str, Any]:
        messages = [{"role": message.role, "content": message.text} for message in request.messages]
        if request.system:
            messages.insert(0, {"role": "system", "content": request.system})
        # A provider that takes one prompt gets the whole conversation in it.
        turns = [f"{message['role']}: {message['content']}" for message in messages]
        last = "\n\n".join(turns) if len(messages) > 1 else messages[-1]["content"] if messages else ""
        known: dict[str, Any] = {
            "model": model,
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "system_instruction": request.system,
            **request.options,
        }
        first = {"prompt": last} if self._prompt or "prompt" in self._takes else {"messages": messages}
        if "contents" in self._takes:
            first = {"contents": last}
        loose = any(parameter.kind is parameter.VAR_KEYWORD for parameter in self._takes.values())
        chosen = {name: value for name, value in known.items() if value is not None and (loose or name in self._takes)}
        if "settings" in self._takes:
            from types import SimpleNamespace

            chosen["settings"] = SimpleNamespace(temperature=request.temperature, max_tokens=request.max_tokens)
        return {**first, **chosen}
