"""The floor: a bare httpx2 client, `post` + `json()`, and `aiter_lines` + `json.loads`."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import drive
import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BODY: dict[str, Any] = {"model": "bench-1", "messages": [{"role": "user", "content": drive.PROMPT}]}


class Floor:
    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def call(self, base: str) -> str:
        reply = await self.client.post(f"{base}/chat/completions", json=BODY)
        return str(reply.json()["choices"][0]["message"]["content"])

    async def stream(self, base: str) -> AsyncIterator[str]:
        async with self.client.stream("POST", f"{base}/chat/completions", json={**BODY, "stream": True}) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    choices = json.loads(line[6:])["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        yield text


@asynccontextmanager
async def opened() -> AsyncIterator[Floor]:
    limits = httpx2.Limits(max_connections=256, max_keepalive_connections=256)
    async with httpx2.AsyncClient(headers={"authorization": "Bearer x"}, limits=limits, timeout=60) as client:
        yield Floor(client)


if __name__ == "__main__":
    drive.main(opened)
