"""Which providers can be asked at all, and whether they answer: one free call to each, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from mcp_llm.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .health import ProviderHealth
    from .service import Service


async def configured(service: Service) -> list[str]:
    """Providers that can be asked now, the demo left out; one whose key is unfit does not hide the others."""
    settings = service.config.settings
    found = await service.local.found() if settings.discover else []
    here = [one.provider_id for one in found]
    keyed: list[str] = []
    for provider_id, provider in service.catalog.providers.items():
        try:
            if provider.local or provider.discover or provider.retired or provider_id in service.backends.builtin:
                continue
            if service.access.reachable(provider_id, provider):
                keyed.append(provider_id)
        except ConfigError:
            continue
    return [one for one in (*keyed, *here) if one not in settings.disabled]


async def check(service: Service, ids: Sequence[str]) -> list[ProviderHealth]:
    """Their states in this order; a provider that fails is a state, never an error."""
    found: dict[str, ProviderHealth] = {}

    async def one(provider_id: str) -> None:
        found[provider_id] = await service.models.health(provider_id, refresh=True)

    async with anyio.create_task_group() as tasks:
        for provider_id in dict.fromkeys(ids):
            tasks.start_soon(one, provider_id)
    return [found[provider_id] for provider_id in dict.fromkeys(ids)]
