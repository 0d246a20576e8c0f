"""The list of models where the providers themselves are asked for theirs: side by side, in the catalog's order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import pytest
from faults.server import FaultServer, Reply

from mcp_llm.llm.listing import list_models
from mcp_llm.llm.models import AT_ONCE

if TYPE_CHECKING:
    from anyio.abc import SocketStream
    from faults.asking import Asking

pytestmark = pytest.mark.anyio
MANY = AT_ONCE + 3


class Hub:
    """Answers nobody before `AT_ONCE` wait at the same time; one provider always fails."""

    def __init__(self) -> None:
        self.waiting = self.most = 0
        self.full = anyio.Event()

    async def answer(self, stream: SocketStream) -> None:
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive()
            name = head.split(b" ")[1].split(b"/")[1].decode()
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            if self.waiting == AT_ONCE:
                self.full.set()
            await self.full.wait()
            self.waiting -= 1
            body = json.dumps({"data": [{"id": f"of-{name}"}]}).encode()
            status = b"503 Out" if name == "p03" else b"200 OK"
            start = b"HTTP/1.1 %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (status, len(body))
            await stream.send(start + body)


async def test_a_list_that_is_elsewhere_is_asked_for_there(asking: Asking) -> None:
    """As Cohere's is: its chat is spoken in another dialect at another place."""
    body = b'{"models":[{"name":"command-x","endpoints":["chat"],"context_length":9.0,"features":["tools"]}]}'
    with FaultServer([Reply(body=body)]) as server:
        elsewhere = f'base_urls = {{ models = "{server.url}/v1" }}\n[quirks.models]\nquery = {{ endpoint = "chat" }}\n'
        asking.provider("acme", "http://127.0.0.1:9", f'{elsewhere}[tiers]\npro = "command-x"\n')
        async with asking.open() as service:
            found = await list_models(service, provider="acme", live=True)
    assert [(row.model, row.can, row.context) for row in found.models] == [
        ("acme:command-x", ("streaming", "tools"), 9)
    ]
    assert [request.target for request in server.requests] == ["/v1/models?endpoint=chat"]


async def test_a_provider_that_was_moved_is_asked_for_its_list_where_it_is(asking: Asking) -> None:
    with FaultServer(scripts={"vendor": [], "gateway": [Reply(body=b'{"data":[{"id":"a"}]}')]}) as server:
        asking.provider("acme", f"{server.url}/vendor", f'base_urls = {{ models = "{server.url}/vendor/v1" }}\n')
        asking.environment["ACME_BASE_URL"] = f"{server.url}/gateway"
        async with asking.open() as service:
            found = await list_models(service, provider="acme", live=True)
    assert [row.model for row in found.models] == ["acme:a"]
    assert {request.target for request in server.requests} == {"/gateway/models"}


@pytest.mark.parametrize("tiers", ["", '[tiers]\npro = "m"\n'], ids=["to know who there is", "for their lists"])
async def test_providers_are_asked_side_by_side(asking: Asking, tiers: str) -> None:
    hub, names = Hub(), [f"p{number:02}" for number in range(MANY)]
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    for name in names:
        asking.provider(name, f"http://127.0.0.1:{port}/{name}", tiers)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, hub.answer)
        async with asking.open() as service:
            with anyio.fail_after(10):
                found = await list_models(service, live=True)
        tasks.cancel_scope.cancel()
    own = [row.model for row in found.models if ":of-p" in row.model]
    assert own == [f"{name}:of-{name}" for name in names if name != "p03"]
    assert [words for words in found.problems if "503" in words] == [found.problems[0]]
    assert found.problems[0].startswith("p03")
    assert hub.most == AT_ONCE
