"""Opens what lives as long as the process - settings, catalog, store, transport - and hands it down as one Service.

Opening is cheap: files are read, nothing is connected. The network, the database and the heavy imports wait for the
first call that needs them.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_llm import __version__
from mcp_llm import config as configuration
from mcp_llm.catalog import load as catalog
from mcp_llm.catalog import price
from mcp_llm.llm.access import Access
from mcp_llm.llm.backends import Backends, sampling
from mcp_llm.llm.client import LLM
from mcp_llm.llm.learned import Learned
from mcp_llm.llm.ledger import Ledger
from mcp_llm.llm.local import Local
from mcp_llm.llm.models import Models
from mcp_llm.llm.money import Purse
from mcp_llm.llm.routing import Router
from mcp_llm.llm.runs import Runs
from mcp_llm.llm.service import Service
from mcp_llm.llm.threads import Threads
from mcp_llm.prompts import Prompts
from mcp_llm.runs.resume import Resumers
from mcp_llm.runs.store import RunStore
from mcp_llm.store.artifacts import Artifacts
from mcp_llm.store.sqlite import Store
from mcp_llm.workflow.boundaries import Boundaries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mcp_llm.config import Config
    from mcp_llm.http.transport import Transport
    from mcp_llm.llm.backends import Backend


@dataclass(slots=True)
class App(Service):
    """The Service with what is built on it: runs that outlive their call, and who can go on with them."""

    store: Store
    journals: RunStore
    resumers: Resumers
    boundaries: Boundaries
    wire: _Wire

    async def aclose(self) -> None:
        """Let go of everything, with what was posted to the ledger on disk; `config.problems` says what was lost."""
        try:
            await self.journals.release()
            await self.backends.aclose()
        finally:
            await self.wire.aclose()
            await self.store.aclose()
            self.config.problems.extend(self.store.notes)


class _Wire:
    """The process's transport, built when it is first needed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._transport: Transport | None = None

    def __call__(self) -> Transport:
        if self._transport is None:
            from mcp_llm.http.transport import Transport

            def value(name: str) -> str | None:
                # Lower case first, as curl has it.
                return self._config.variable(name.lower()) or self._config.variable(name)

            self._transport = Transport(
                ca_file=self._config.settings.ca_file,
                http_proxy=value("HTTP_PROXY"),
                https_proxy=value("HTTPS_PROXY"),
                no_proxy=value("NO_PROXY"),
                user_agent=f"mcp-llm/{__version__}",
            )
        return self._transport

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()


@asynccontextmanager
async def open_app(config: Config | None = None, *, told: Callable[[str], None] | None = None) -> AsyncIterator[App]:
    """Everything, opened; closed again at the end.

    What a user should know of the store is put to `config.problems` at the end; `told` hears of it as it comes up.
    """
    app = build(config or configuration.load(), told=told)
    try:
        yield app
    finally:
        await app.aclose()


def _gguf(config: Config) -> Backend:
    from mcp_llm.llm.backends.gguf import Gguf

    own = config.settings.gguf.folder
    folders = [config.home / "models", *([Path(own).expanduser()] if own else [])]
    return Gguf(folders, config.settings.gguf)


def build(config: Config, *, told: Callable[[str], None] | None = None) -> App:
    """The parts, joined; no file of the state is touched before the first use. Whoever calls this closes it."""
    settings = config.settings
    store = Store.open(config.home / "state.db", fallback=True, told=told)
    wire = _Wire(config)
    known = catalog.load((config.folder / "providers",), overrides=settings.providers, variable=config.variable)
    config.problems.extend(known.problems)
    access = Access(config)
    backends = Backends()
    backends.builtin["gguf"] = lambda: _gguf(config)
    backends.builtin[sampling.PROVIDER] = sampling.HostModel
    models = Models(known, access, wire, backends)
    purse = Purse(settings, Ledger(store), price.user_rates(settings.prices))
    return App(
        config=config,
        catalog=known,
        access=access,
        artifacts=Artifacts(config.home / "artifacts"),
        backends=backends,
        llm=LLM(settings, access, backends, purse, Learned(store), wire),
        local=Local(known, access, models),
        models=models,
        prompts=Prompts((config.folder / "prompts",)),
        purse=purse,
        router=Router(settings, known.find, lambda provider, tier: known.provider(provider).tiers.get(tier)),
        runs=Runs(store, config.redactor),
        threads=Threads(store),
        store=store,
        journals=RunStore(store, redactor=config.redactor),
        resumers=Resumers(),
        boundaries=Boundaries(settings.python),
        wire=wire,
    )
