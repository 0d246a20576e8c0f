"""Settings that are well-formed and mean nothing: unknown providers, names that lead nowhere. Looks, asks nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_llm.errors import Error, UnknownModel
from mcp_llm.llm.routing import TIERS

from .findings import Finding
from .masks import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_llm.llm.service import Service

FIX = "change it in the config file; `mcp-llm config path` says where that is, `mcp-llm models` what there is"


def mistakes(service: Service) -> Iterator[Finding]:
    """What the settings name and nobody has, and what a user's file does to a provider of ours."""
    settings = service.config.settings
    for name, ids in (("prefer", settings.prefer), ("disabled", settings.disabled)):
        for provider_id in ids:
            yield from _provider(service, name, provider_id)
    for alias in settings.aliases:
        if alias == "auto" or alias in TIERS:
            fix = "give the alias another name, or set [tiers]"
            yield Finding("settings", "problem", f"the alias `{alias}` takes the place of what `{alias}` means", fix)
    named = [(f"the alias `{alias}`", alias) for alias in settings.aliases]
    named += [(f"tiers.{tier}", name) for tier, name in settings.tiers.items()]
    named += [("default", settings.default), *(("fallbacks", name) for name in settings.fallbacks)]
    for context, route in settings.contexts.items():
        names = ((route.model,) if route.model else ()) + route.fallbacks
        named += [(f'contexts."{context}"', name) for name in names]
    for where, name in named:
        yield from _model(service, where, name)
    for provider_id, origin, url in service.catalog.moved():
        yield Finding("settings", "note", f"providers/{origin} moves {provider_id} to {masked(url)}")


def _provider(service: Service, where: str, provider_id: str) -> Iterator[Finding]:
    try:
        meant = service.id_of(provider_id)
    except Error as exc:
        yield Finding("settings", "problem", f"`{where}`: {exc}", FIX)
    else:
        if meant != provider_id:
            yield Finding("settings", "problem", f"`{where}`: {provider_id!r} is not read; the id is {meant}", FIX)


def _model(service: Service, where: str, name: str) -> Iterator[Finding]:
    try:
        meant = service.router.resolve(name)
        if meant == "auto" or meant in TIERS:
            return
        provider_id = meant.partition(":")[0]
        try:
            target = service.catalog.find(meant)
        except UnknownModel:
            if provider_id in service.catalog.ids and service.catalog.provider(provider_id).open:
                return  # what it serves is known only when it is asked
            raise
    except Error as exc:
        yield Finding("settings", "problem", f"{where}: {exc}", FIX)
    else:
        for words in target.warnings:
            yield Finding("settings", "note", f"{where}: {words}")
