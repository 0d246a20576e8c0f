"""Providers' own model lists and their health: live, cached, never needed to make a call."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from mcp_llm.errors import Error, Garbled, ProviderError, Unsupported
from mcp_llm.http.deadlines import Deadlines
from mcp_llm.wires import models as wires
from mcp_llm.wires.failures import failure
from mcp_llm.wires.reply import parse

from .health import ProviderHealth

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from mcp_llm.catalog.find import Catalog
    from mcp_llm.http.transport import Transport
    from mcp_llm.types.message import Json
    from mcp_llm.wires.base import HttpRequest, ModelInfo

    from .access import Access
    from .backends import Backends

T = TypeVar("T")

FRESH: Final = 3600.0
HEALTH_FRESH: Final = 60.0
PAGES: Final = 20
ASKED: Final = 64
"""Models that are asked for one by one."""
AT_ONCE: Final = 8
"""Providers that are asked at the same time, and models of one."""
MOST: Final = 5000
"""Models that are kept of one list: nobody has more, and who says so is not to fill our memory with them."""


async def each(ids: Iterable[str], ask: Callable[[str], Awaitable[T]]) -> dict[str, T]:
    """What `ask` gives for each of them, in this order; `AT_ONCE` are waited for at a time."""
    told: dict[str, T] = {}
    limit = anyio.CapacityLimiter(AT_ONCE)

    async def one(provider_id: str) -> None:
        async with limit:
            told[provider_id] = await ask(provider_id)

    wanted = list(ids)
    async with anyio.create_task_group() as tasks:
        for provider_id in wanted:
            tasks.start_soon(one, provider_id)
    return {provider_id: told[provider_id] for provider_id in wanted}


@dataclass(slots=True)
class Models:
    """Asks a provider for its models, once an hour at most; a health check is the same call, once a minute at most."""

    catalog: Catalog
    access: Access
    transport: Callable[[], Transport]
    backends: Backends
    clock: Callable[[], float] = time.monotonic
    _lists: dict[str, tuple[float, list[ModelInfo]]] = field(default_factory=dict)
    _silent: dict[str, float] = field(default_factory=dict)
    _health: dict[str, tuple[float, ProviderHealth]] = field(default_factory=dict)

    async def of(self, provider_id: str, *, refresh: bool = False, patience: float = 15.0) -> list[ModelInfo]:
        """The provider's models as it tells them. Raises Unsupported where it has no list."""
        known = self._lists.get(provider_id)
        if known and not refresh and self.clock() - known[0] < FRESH:
            return known[1]
        found = await self._detailed(provider_id, await self.fetch(provider_id, patience=patience), patience)
        self._lists[provider_id] = (self.clock(), found)
        self._silent.pop(provider_id, None)
        return found

    async def offered(self, provider_id: str, *, patience: float) -> list[ModelInfo]:
        """The same for whoever looks around: nothing of one that has no list, or gave none within the last minute."""
        silent = self._silent.get(provider_id)
        if silent is not None and self.clock() - silent < HEALTH_FRESH:
            return []
        try:
            return await self.of(provider_id, patience=patience)
        except Error:
            self._silent[provider_id] = self.clock()
            return []

    def known(self, provider_id: str) -> list[ModelInfo] | None:
        """The list fetched last, without asking anybody."""
        known = self._lists.get(provider_id)
        return known[1] if known else None

    async def fetch(self, provider_id: str, *, base_url: str | None = None, patience: float = 15.0) -> list[ModelInfo]:
        """Ask now, page by page; `patience` bounds each page, in seconds."""
        provider = self.catalog.provider(provider_id)
        if (kept := self.backends.models(provider_id)) is not None:
            return kept
        name = provider.wires.get("models")
        if name is None:
            raise Unsupported(f"{provider_id} has no model list; name a model yourself")
        own = provider.base_urls.get("models")
        if base_url is None and own is not None:
            base_url = self.access.base_url(provider_id, provider, own)
        wire = wires.wire(name)
        quirks = self.catalog.quirks(provider_id, "models")
        found: list[ModelInfo] = []
        cursor: str | None = None
        for _ in range(PAGES):
            body = await self.call(provider_id, wire.encode(cursor, quirks), base_url=base_url, patience=patience)
            try:
                page, cursor = wire.decode(body)
            except (TypeError, LookupError, AttributeError, ValueError) as exc:
                raise Garbled("what came is no model list", provider=provider_id) from exc
            found += page
            if cursor is None or len(found) >= MOST:
                break
        return found[:MOST]

    async def _detailed(self, provider_id: str, infos: list[ModelInfo], patience: float) -> list[ModelInfo]:
        """The same models with what each tells when it is asked alone; one that does not answer stays as it was."""
        name = self.catalog.provider(provider_id).wires.get("models")
        wire = wires.details(name) if name and self.backends.models(provider_id) is None else None
        if wire is None:
            return infos
        told = list(infos)
        limit = anyio.CapacityLimiter(AT_ONCE)

        async def ask(place: int, model: str) -> None:
            async with limit:
                with suppress(Error, TypeError, LookupError, AttributeError, ValueError):
                    body = await self.call(provider_id, wire.show(model), patience=patience)
                    told[place] = wire.decode_show(body, model)

        async with anyio.create_task_group() as tasks:
            for place, info in enumerate(infos[:ASKED]):
                tasks.start_soon(ask, place, info.id)
        return told

    async def call(
        self, provider_id: str, http: HttpRequest, *, base_url: str | None = None, patience: float = 15.0
    ) -> Json:
        """One small request whose whole JSON reply is wanted; raises the error it stands for, provider named."""
        provider = self.catalog.provider(provider_id)
        headers = self.access.headers(provider_id, provider)
        url = base_url or self.access.base_url(provider_id, provider)
        deadlines = Deadlines(connect=min(patience, 10.0), first_byte=patience, idle=patience, total=patience)
        try:
            async with self.transport().stream(url, http, headers, deadlines) as exchange:
                if exchange.status >= 400:
                    words = await exchange.words()
                    raise failure(exchange.status, exchange.headers, words, codes=provider.error_codes)
                body = await exchange.body()
            return parse(body)
        except ProviderError as exc:
            exc.provider = exc.provider or provider_id
            self.access.blamed(exc, provider_id, provider)
            raise
        except (ValueError, RecursionError) as exc:
            raise Garbled("the reply to a small question is no JSON", provider=provider_id) from exc

    async def health(self, provider_id: str, *, refresh: bool = False) -> ProviderHealth:
        """One cheap call, remembered for a minute. Without a key nothing is asked and `available` is False."""
        known = self._health.get(provider_id)
        if known and not refresh and self.clock() - known[0] < HEALTH_FRESH:
            return known[1]
        started = self.clock()
        checked = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            found = await self.of(provider_id, refresh=True)
            state = ProviderHealth(
                provider_id=provider_id,
                available=True,
                latency_ms=round((self.clock() - started) * 1000),
                models_available=len(found),
                last_checked=checked,
            )
        except Unsupported as exc:
            state = ProviderHealth(provider_id=provider_id, available=None, last_checked=checked, detail=str(exc))
        except Error as exc:
            state = ProviderHealth(
                provider_id=provider_id, available=False, last_checked=checked, detail=str(exc)[:500]
            )
        self._health[provider_id] = (self.clock(), state)
        return state
