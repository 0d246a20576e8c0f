"""Public functions made of ones that exist, so that their arguments and their words stand once.

Type checkers, `help()` and `inspect.signature` see the arguments of the original; nothing here knows what they mean.
"""

from __future__ import annotations

import inspect
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from mcp_llm.background import background, opened
from mcp_llm.errors import InvalidInput
from mcp_llm.llm.doing import Call
from mcp_llm.types.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from mcp_llm.app import App

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")

BLOCKS = "For code that is not async; it works inside a running event loop too, and blocks it."


def served(
    name: str, function: Callable[Concatenate[S, P], Awaitable[T]], first: Callable[[App], S]
) -> Callable[P, Coroutine[Any, Any, T]]:
    """The public form of an operation: without its first argument, which `first` makes of the running loop's App.

    What the original takes in `**call` are the names of `Call` and no others: a typing mistake must not pass unseen.
    """
    known = [*inspect.signature(function).parameters, *Call.__annotations__]

    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        for given in kwargs.keys() - known:
            close = nearest(given, known)
            raise InvalidInput(
                f"{name}() has no argument `{given}`" + (f"; did you mean `{close[0]}`?" if close else "")
            )
        return await function(first(cast("App", await opened.get())), *args, **kwargs)

    _dress(call, function, name, drop=1)
    return call


def blocking(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """The same for code that is not async, under the same name without its `a`."""

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return background.call(partial(function, *args, **kwargs))

    _dress(call, function, function.__name__.removeprefix("a"))
    call.__doc__ = f"{(function.__doc__ or '').rstrip()}\n\n    {BLOCKS}\n    "
    return call


def taking(original: Callable[P, Any]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Decorates a function that hands its arguments on to `original`: it takes those, and gives what it says itself.

    Its docstring goes on with that of the original from `Args:` on.
    """

    def dressed(function: Callable[..., R]) -> Callable[P, R]:
        returns = inspect.signature(function).return_annotation
        signature = inspect.signature(original).replace(return_annotation=returns)
        cast("Any", function).__signature__ = signature
        _, section, rest = (original.__doc__ or "").partition("    Args:\n")
        function.__doc__ = f"{(function.__doc__ or '').rstrip()}\n\n{section}{rest}" if section else function.__doc__
        return cast("Callable[P, R]", function)

    return dressed


def _dress(call: Any, original: Any, name: str, drop: int = 0) -> None:
    signature = inspect.signature(original)
    update_wrapper(call, original)
    # What unwraps would find an async function below a sync one, or an argument that nobody gives.
    del call.__wrapped__
    call.__signature__ = signature.replace(parameters=list(signature.parameters.values())[drop:])
    call.__name__ = call.__qualname__ = name
    call.__module__ = f"{__package__}"
