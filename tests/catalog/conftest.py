"""One catalog of the package's files, and a folder in which a user keeps provider files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_llm.catalog.load import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mcp_llm.catalog.find import Catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load()


@pytest.fixture
def user(tmp_path: Path) -> Callable[..., Catalog]:
    """`user(acme="base_url = ...")` writes acme.toml into a folder and loads the catalog with it."""

    def write(**files: str) -> Catalog:
        for name, text in files.items():
            (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        return load([tmp_path])

    return write
