"""mcp_llm's whole path: routing, validation, reservation, retries, decoding, price and ledger.

`call` asks for a whole reply, as the floor does; STREAMED=1 leaves it as it is for users, a stream on the wire.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import drive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "BENCH_API_KEY"


class Ours:
    """Each base URL is a provider of its own, as it would be in somebody's settings."""

    def __init__(self, names: dict[str, str]) -> None:
        import mcp_llm

        self.names = names
        self.library = mcp_llm

    async def call(self, base: str) -> str:
        model = f"{self.names[base]}:bench-1"
        if os.environ.get("STREAMED"):
            answer: str = await self.library.agenerate(drive.PROMPT, model)
            return answer
        # No surface offers it: every answer is streamed. Only to be compared with libraries that ask for a whole one.
        from mcp_llm.background import opened
        from mcp_llm.llm.generate import Ask, generate

        return (await generate(await opened.get(), Ask(drive.PROMPT, model, sampling={"stream": False}))).response

    async def stream(self, base: str) -> AsyncIterator[str]:
        async with self.library.stream(drive.PROMPT, f"{self.names[base]}:bench-1") as pieces:
            async for piece in pieces:
                yield piece


def settings(base: str) -> tuple[str, dict[str, str]]:
    """An mcp_llm.toml with a provider for each kind of answer, and their names by base URL."""
    paths = {
        "short": "n20/g0",
        "burst": f"n{drive.DELTAS}/g0",
        "paced": f"n{drive.PACED}/g{drive.GAP}",
        "slow": f"n{drive.SLOW}/g{drive.LONG_GAP}",
    }
    text = "discover = false\n"
    for name, path in paths.items():
        text += f'[providers.bench_{name}]\nbase_url = "{base}/{path}/v1"\nwires = {{ chat = "openai" }}\n'
        text += f'auth = {{ env = ["{KEY}"], headers = {{ Authorization = "Bearer {{key}}" }} }}\n'
    return text, {f"{base}/{path}/v1": f"bench_{name}" for name, path in paths.items()}


@asynccontextmanager
async def opened() -> AsyncIterator[Ours]:
    yield Ours(NAMES)


if __name__ == "__main__":
    TEXT, NAMES = settings(json.loads(sys.argv[1])["base"])
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"MCP_LLM_HOME": home, KEY: "bench-key-0123456789"}
        os.chdir(home)
        Path(home, "mcp_llm.toml").write_text(TEXT, encoding="utf-8")
        drive.main(opened)
