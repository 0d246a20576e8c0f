"""What both transports to a server are: something entered once, giving the pair of streams that the SDK takes."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType


class Entered(AbstractAsyncContextManager[Any]):
    """A transport; whoever inherits says in `_streams` what is open meanwhile."""

    _context: AbstractAsyncContextManager[Any] | None = None

    @abstractmethod
    def _streams(self) -> AbstractAsyncContextManager[tuple[Any, Any]]: ...

    async def __aenter__(self) -> tuple[Any, Any]:
        self._context = self._streams()
        pair: tuple[Any, Any] = await self._context.__aenter__()
        return pair

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._context is not None
        return await self._context.__aexit__(kind, error, traceback)
