"""Model servers on this machine: looked for on their usual loopback ports, with what each has loaded.

A port counts only when it answers the provider's own model list: other programs like 8000 and 8080 too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from mcp_llm.errors import ConfigError, Error

from .routing import Available

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.catalog.find import Catalog
    from mcp_llm.settings import Tier
    from mcp_llm.wires.base import ModelInfo

    from .access import Access
    from .models import Models

FRESH: Final = 30.0
PATIENCE: Final = 1.0
TIERS: Final[tuple[Tier, ...]] = ("pro", "balanced", "lite")


@dataclass(slots=True)
class Local:
    """Remembers what it found for half a minute."""

    catalog: Catalog
    access: Access
    models: Models
    clock: Callable[[], float] = time.monotonic
    _found: list[Available] = field(default_factory=list)
    _checked: float | None = None
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    async def found(self) -> list[Available]:
        """The servers that answer now, in catalog order."""
        async with self._lock:
            if self._checked is None or self.clock() - self._checked > FRESH:
                self._found = await self._look()
                self._checked = self.clock()
            return self._found

    async def _look(self) -> list[Available]:
        candidates = [
            (provider_id, provider) for provider_id, provider in self.catalog.providers.items() if provider.discover
        ]
        results: dict[str, Available] = {}

        async def probe(provider_id: str, urls: tuple[str, ...], local: bool) -> None:
            for url in urls:
                infos = await self._ask(provider_id, url)
                if infos:
                    self.access.move(provider_id, url)
                    chat = [info.id for info in infos if "embed" not in info.id.lower()] or [infos[0].id]
                    results[provider_id] = Available(provider_id, dict.fromkeys(TIERS, chat[0]), local=local)
                    return

        async with anyio.create_task_group() as tasks:
            for provider_id, provider in candidates:
                try:
                    places = self.access.places(provider_id, provider)
                except ConfigError:
                    continue  # a broken address of one server must not hide the others
                tasks.start_soon(probe, provider_id, places, provider.local)
        return [results[provider_id] for provider_id, _ in candidates if provider_id in results]

    async def _ask(self, provider_id: str, url: str) -> list[ModelInfo]:
        try:
            return await self.models.fetch(provider_id, base_url=url, patience=PATIENCE)
        except Error:
            return []
