"""The whole path on a scripted provider: a TOML file in the user's folder, the app opened on it, one question asked.

What is asked through `Asking.open` may leave the key nowhere: not in an error, not in the database. Waits between
attempts are noted in `waits` and not waited for.
"""

from __future__ import annotations

import traceback
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from canary import KEY

from mcp_llm import config
from mcp_llm.app import open_app
from mcp_llm.errors import Error
from mcp_llm.llm.generate import Ask, generate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mcp_llm.llm.service import Service
    from mcp_llm.types.result import Generated

CANARY = KEY
MOST_BYTES = 2048
QUICK: dict[str, float] = {"connect": 2, "first_byte": 2, "idle": 2, "total": 5}


class Asking:
    """Providers by name, and the service opened on them with a key for each."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.waits: list[float] = []
        self.timeouts: dict[str, float] = QUICK
        self.luck = 0.0
        """What the retry loop draws from [0, 1)."""
        self.environment = {"MCP_LLM_HOME": str(home)}

    def provider(self, name: str, url: str, extra: str = "", *, key: str | None = CANARY) -> str:
        """Write `<home>/providers/<name>.toml`; gives the name of a model of it."""
        folder = self.home / "providers"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.toml").write_text(f'base_url = "{url}"\n{extra}')
        if key is not None:
            self.environment[f"{name.upper()}_API_KEY"] = key
        return f"{name}:m"

    @asynccontextmanager
    async def open(self, **settings: Any) -> AsyncIterator[Service]:
        """The service under these settings; no model server of this machine is looked for."""
        settings = {"discover": False, "timeouts": self.timeouts, **settings}
        loaded = config.load(environment=self.environment, overrides=settings)
        async with open_app(loaded) as service:
            service.llm.sleep = self._sleep
            service.llm.random = lambda: self.luck
            yield service
        for path in self.home.glob("state.db*"):
            assert CANARY.encode() not in path.read_bytes()

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await anyio.lowlevel.checkpoint()


async def ask(service: Service, model: str | None = None, *, within_s: float = 10, **words: Any) -> Generated:
    """One question, answered within so many seconds."""
    with anyio.fail_after(within_s):
        return await generate(service, Ask(**{"prompt": "hi", "model": model, **words}))


async def failing(service: Service, model: str | None = None, **words: Any) -> Error:
    """The error of a question: short, and without the key, wherever one looks."""
    with pytest.raises(Error) as caught:
        await ask(service, model, **words)
    error = caught.value
    told = "".join(traceback.format_exception(error)) + repr(vars(error))
    assert CANARY not in told
    assert len(str(error).encode()) <= MOST_BYTES
    return error


async def rows(service: Service) -> list[tuple[str, str]]:
    """(provider, outcome) of the ledger, oldest first."""
    found = await service.runs.store.query("SELECT provider, outcome FROM ledger ORDER BY id")
    return [(provider, outcome) for provider, outcome in found]
