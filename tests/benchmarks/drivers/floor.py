"""The floor: a bare httpx2 client, `post` + `json()`, and `aiter_lines` + `json.loads`.

STREAMED=1 asks for a stream where a whole reply is wanted, as we do by default; MESSAGES=1 speaks the Messages API.
"""

from __future__ import annotations

import json
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import drive
import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BODY: dict[str, Any] = {"model": "bench-1", "messages": [{"role": "user", "content": drive.PROMPT}]}


class Floor:
    """Chat Completions."""

    path = "chat/completions"

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def call(self, base: str) -> str:
        reply = await self.client.post(f"{base}/{self.path}", json=BODY)
        return self.said(reply.json())

    async def stream(self, base: str) -> AsyncIterator[str]:
        async with self.client.stream("POST", f"{base}/{self.path}", json={**BODY, "stream": True}) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: ") and line != "data: [DONE]" and (text := self.piece(json.loads(line[6:]))):
                    yield text

    def said(self, reply: Any) -> str:
        return str(reply["choices"][0]["message"]["content"])

    def piece(self, event: Any) -> str | None:
        choices = event["choices"]
        return choices[0]["delta"].get("content") if choices else None


class Streamed(Floor):
    """Whole answers from streams."""

    async def call(self, base: str) -> str:
        return "".join([piece async for piece in self.stream(base)])


class Messages(Floor):
    """The other dialect."""

    path = "messages"

    def said(self, reply: Any) -> str:
        return str(reply["content"][0]["text"])

    def piece(self, event: Any) -> str | None:
        return event["delta"]["text"] if event["type"] == "content_block_delta" else None


@asynccontextmanager
async def opened() -> AsyncIterator[Floor]:
    kind = Streamed if os.environ.get("STREAMED") else Messages if os.environ.get("MESSAGES") else Floor
    limits = httpx2.Limits(max_connections=drive.FLIGHT, max_keepalive_connections=256)
    async with httpx2.AsyncClient(headers={"authorization": "Bearer x"}, limits=limits, timeout=60) as client:
        yield kind(client)


if __name__ == "__main__":
    drive.main(opened)
