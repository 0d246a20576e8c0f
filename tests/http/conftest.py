"""What the tests of this folder share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faults.certificates import Certificates

from mcp_llm.http.transport import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport() as made:
        yield made


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
