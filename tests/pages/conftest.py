"""A configuration on an empty home; and, where a folder with them is named, a browser with its driver and axe.

`.ci/pages` makes that folder and names it in `MCP_LLM_PAGES`; without it the tests that need one are skipped, counted.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pages.browsing import CHROMIUM, FLAGS, House, Pages, Seen

from mcp_llm import config as configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_llm.config import Config


@pytest.fixture
def config(home: Path) -> Config:
    return configuration.load(overrides={"discover": False})


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """The two protocol eras."""
    return str(request.param)


@pytest.fixture(scope="session")
def folder() -> Path:
    """Holds `wheel` (the browser's driver) and `node_modules/axe-core`."""
    named = os.environ.get("MCP_LLM_PAGES")
    if not named:
        pytest.skip("MCP_LLM_PAGES names no folder with a browser's driver; `.ci/pages` makes one and runs these")
    return Path(named)


@pytest.fixture(scope="session")
def axe_source(folder: Path) -> str:
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[Any]:
    """Debian's Chromium. Its driver holds the thread's event loop: it ends before other modules need one."""
    sys.path.insert(0, str(folder / "wheel"))
    driver: Any = import_module("playwright.sync_api")
    with driver.sync_playwright() as playing:
        found = playing.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield found
        found.close()


@pytest.fixture
def house(home: Path) -> Iterator[House]:
    found = House(home)
    yield found
    found.end()


@pytest.fixture
def pages(home: Path) -> Iterator[Pages]:
    """`mcp-llm ui` on the home."""
    found = Pages()
    yield found
    assert "Traceback" not in found.end()


@pytest.fixture
def page(browser: Any, pages: Pages) -> Iterator[Any]:
    """A page that the printed address has opened; at the end nothing has left the machine, and nothing complained."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, reduced_motion="reduce")
    seen = Seen(context, pages.base + "/")
    found = context.new_page()
    found.goto(pages.address)
    found.wait_for_selector("#none:not([hidden]), tbody tr")
    yield found
    context.close()
    seen.check()
