"""Where a step of Python may run: bubblewrap, else monty, else nowhere; and whether that really holds, tried first.

A boundary that cannot be shown to hold is none. There is no way around it: no flag, and nothing that a workflow says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from mcp_llm.errors import Denied, Error

if TYPE_CHECKING:
    from mcp_llm.settings import Python

    from .boundary import Boundary

FIX: Final = (
    "install bubblewrap (apt install bubblewrap, dnf install bubblewrap; Linux), "
    "or monty, a small Python on any system (pip install 'mcp-llm[python]')"
)


@dataclass(slots=True)
class Boundaries:
    """The boundary of this process: found and tried when it is first needed, once."""

    settings: Python
    _found: Boundary | None = None
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    async def get(self) -> Boundary:
        """The boundary. Raises Denied with what was tried and what to install."""
        async with self._lock:
            if self._found is None:
                self._found = await self._choose()
            return self._found

    async def _choose(self) -> Boundary:
        from .bubblewrap import Bubblewrap
        from .monty import Monty

        wanted = self.settings.boundary
        tried: list[str] = []
        for one in (Bubblewrap(), Monty()):
            if wanted not in {"auto", one.name}:
                continue
            try:
                fault = await one.probe()
            except Error as exc:
                fault = str(exc)
            if fault is None:
                return one
            tried.append(f"{one.name}: {fault}")
        raise Denied(
            f"Python code is not run without a boundary, and none holds here ({'; '.join(tried)}). To mend it: {FIX}"
        )
