"""Everything that asking needs, opened once and handed around: the catalog, the money, the memory and the way out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio.to_thread

from mcp_llm.catalog.find import check_name
from mcp_llm.catalog.source import OPERATIONS
from mcp_llm.errors import UnknownModel, UnknownProvider
from mcp_llm.store.artifacts import LOCAL

from .local import TIERS as LOCAL_TIERS
from .models import each
from .routing import Available

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.catalog.find import Catalog
    from mcp_llm.config import Config
    from mcp_llm.prompts import Prompts
    from mcp_llm.store.artifacts import Artifacts
    from mcp_llm.types.message import Part

    from .access import Access
    from .backends import Backends
    from .client import LLM
    from .local import Local
    from .models import Models
    from .money import Purse
    from .routing import Plan, Router
    from .runs import Runs
    from .threads import Threads


ARTIFACT: Final = "artifacts://"
OWN_PATIENCE: Final = 3.0
"""Seconds given to a provider of the user's own to say what it serves, once an hour, or a minute where it is silent."""


@dataclass(slots=True)
class Service:
    """The parts, by name. Made by `mcp_llm.app`."""

    config: Config
    catalog: Catalog
    access: Access
    artifacts: Artifacts
    backends: Backends
    llm: LLM
    local: Local
    models: Models
    prompts: Prompts
    purse: Purse
    router: Router
    runs: Runs
    threads: Threads

    async def plan(self, model: str | None, context: str | None, needs: frozenset[str] = frozenset()) -> Plan:
        """Who will be asked. `needs` are modalities and capabilities (`image`, `tools`) that `auto` has to look for."""
        if model is not None:
            check_name(model)
        declared = None if model or not context else self.prompts.declared(context)
        try:
            plan = await self._plan(model, context, declared)
        except UnknownProvider:
            if not self.adopt():
                raise
            plan = await self._plan(model, context, declared)
        if needs and len(plan.targets) > 1:
            able = [target for target in plan.targets if _able(target.facts, needs)]
            plan.targets = able + [target for target in plan.targets if target not in able] if able else plan.targets
        return plan

    async def _plan(self, model: str | None, context: str | None, declared: str | None) -> Plan:
        available: Sequence[Available] = ()
        if self.router.needs_available(model, context, declared):
            available = await self.available()
        try:
            return self.router.plan(model, context, declared, available)
        except UnknownModel:
            route, _ = self.router.route(context)
            asked = model or (route.model if route else None) or declared or self.config.settings.default
            self._answering(self.router.resolve(asked).partition(":")[0])
            raise

    def _answering(self, provider_id: str) -> None:
        """Raise UnknownModel saying so where this is a server of this machine that was looked for in vain."""
        if not self.config.settings.discover or provider_id not in self.catalog.ids:
            return
        if (provider := self.catalog.provider(provider_id)).discover:
            place = urlsplit(self.access.base_url(provider_id, provider)).netloc
            raise UnknownModel(f"{provider_id} does not answer at {place}: start it, then ask again") from None

    def id_of(self, provider_id: str) -> str:
        """The id of a provider by any of its names, an installed plugin's too. Raises UnknownProvider."""
        try:
            return self.catalog.id_of(provider_id)
        except UnknownProvider:
            if not self.adopt():
                raise
            return self.catalog.id_of(provider_id)

    def adopt(self) -> bool:
        """Make the installed plugins known; whether there are new ones. Asked for only when a name is not known.

        A plugin cannot take a name that the catalog has: installing a package must not redirect a provider's calls.
        """
        new = [name for name in self.backends.plugins() if name not in self.catalog.ids]
        for name in new:
            self._add_code(name)
        return bool(new)

    async def available(self, operation: str = "chat") -> list[Available]:
        """Providers that can be asked now, the preferred first: with a key, local servers, files, the demo.

        For another operation than chat: those that have a model which is meant by it.
        """
        settings = self.config.settings
        keyed = [
            Available(provider_id)
            for provider_id, provider in self.catalog.providers.items()
            if not provider.local
            and not provider.retired
            and provider_id not in settings.disabled
            and (provider.tiers if operation == "chat" else operation in provider.defaults)
            and self.access.reachable(provider_id, provider)
        ]
        found: list[Available] = []
        if operation == "chat":  # what a server on this machine can do besides, it does not say
            keyed += [one for one in await self._of_own() if one.provider_id not in settings.disabled]
            found = await self.local.found() if settings.discover else []
        everything = [*keyed, *(one for one in found if one.provider_id not in settings.disabled)]
        mine = {provider_id: index for index, provider_id in enumerate(settings.prefer)}
        everything.sort(
            key=lambda one: (
                mine.get(one.provider_id, len(mine)),
                one.local,
                self.catalog.provider(one.provider_id).rank,
            )
        )
        inside = [
            Available(provider_id, dict.fromkeys(LOCAL_TIERS, kept[0].id), local=True)
            for provider_id in self.backends.builtin
            if operation == "chat"
            and provider_id not in settings.disabled
            and (kept := self.backends.models(provider_id))
        ]
        return [*everything, *inside, Available("demo", local=True)]

    async def _of_own(self) -> list[Available]:
        """Providers of the user's own files: they name no tiers, so the first model of their list stands for all."""
        own = {provider_id: self.catalog.provider(provider_id) for provider_id in self.catalog.own_ids}
        asked = [
            provider_id
            for provider_id, provider in own.items()
            if not (provider.tiers or provider.discover) and self.access.reachable(provider_id, provider)
        ]
        told = await each(asked, lambda provider_id: self.models.offered(provider_id, patience=OWN_PATIENCE))
        return [
            Available(provider_id, dict.fromkeys(LOCAL_TIERS, infos[0].id), local=own[provider_id].local)
            for provider_id, infos in told.items()
            if infos
        ]

    def register(self, name: str, provider: object) -> None:
        """Add a provider in code; `name:anything` asks it from now on, for what it has a method for."""
        self.backends.register(name, provider)
        self._add_code(name)

    def _add_code(self, name: str) -> None:
        does = [operation for operation in OPERATIONS if self.backends.doing(name, operation) is not None]
        wires = dict.fromkeys(("chat", *does), "code")
        self.catalog.add(name, {"name": name, "base_url": "code://", "wires": wires, "open": True})

    def roots(self) -> list[Path]:
        """The folders that files may be read from; relative paths are taken from the first."""
        settings = self.config.settings.files
        roots = [Path(root).expanduser() for root in settings.roots]
        working = self.config.working_folder
        # Some hosts start their servers in `/`: that says nothing about what may be read.
        if settings.working_folder and working != working.parent:
            roots.insert(0, working)
        return roots

    async def attachments(
        self, sources: Sequence[Any], *, most: int | None = None, principal: str | None = None
    ) -> tuple[list[Part], list[str]]:
        """Files as parts, and sentences about what was skipped; `most` is another cap of bytes than the setting's.

        What was made here its owner names `artifacts://...`, and whose machine it is the file itself, too; nobody where
        no `principal` is given.
        """
        if not sources:
            return [], []
        from mcp_llm.files import load as files

        settings = self.config.settings.files
        limits = files.Limits(bytes=settings.max_bytes, files=settings.max_files)
        if most is not None:
            limits = files.Limits(bytes=most, files=1, total=most)
        roots = list(self.roots())
        # A relative path is never one of these: without a root of the user's it is told which setting that takes.
        if principal == LOCAL and (roots or any(os.path.isabs(str(one)) for one in sources)):
            roots.append(self.artifacts.folder)
        given = sources if principal is None else [await self._made(one, principal) for one in sources]
        loaded = await files.load_all(given, roots=roots, limits=limits)
        return list(loaded.parts), loaded.warnings

    async def _made(self, source: Any, principal: str) -> Any:
        """The bytes of an artifact; any other source as it is."""
        if not (isinstance(source, str) and source.startswith(ARTIFACT)):
            return source

        def read() -> bytes:
            with self.artifacts.open(source.removeprefix(ARTIFACT), principal=principal) as file:
                return file.read()

        return await anyio.to_thread.run_sync(read)


def _able(facts: Any, needs: frozenset[str]) -> bool:
    has = {*(facts.can or ()), *(facts.reads or ())}
    return (facts.can is None and facts.reads is None) or needs <= has
