"""What is fetched from the open internet: what a server says of a range is only words of its own."""

from __future__ import annotations

import pytest
from faults.server import FaultServer, Reply

from mcp_llm.errors import Denied, Disconnected, Error
from mcp_llm.http.fetch import NoMore, whole
from mcp_llm.http.transport import Transport

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("told", "total"), [("bytes */12", 12), ("bytes */*", None), ("bytes */\u00b2", None), (f"*/{'9' * 5000}", None)]
)
def test_the_length_of_a_file_is_a_number_or_unknown(told: str, total: int | None) -> None:
    assert NoMore("hub.invalid", {"content-range": told}).total == total


@pytest.mark.parametrize(
    ("location", "kind", "words"),
    [
        ("http://[bad/file", Denied, "127.0.0.1 redirects to what is no URL"),
        ("//[bad/file", Denied, "127.0.0.1 redirects to what is no URL"),
        ("https://other.invalid:99999/", Denied, "the URL cannot be read: its host or port is malformed"),
        ("ftp://other.invalid/", Denied, "only https URLs without a user or password in them are fetched"),
        ("https://me:pw@other.invalid/", Denied, "only https URLs without a user or password in them are fetched"),
        ("?again", Disconnected, "127.0.0.1 redirects more than 3 times"),
    ],
)
async def test_a_redirect_that_leads_nowhere_is_told(location: str, kind: type[Error], words: str) -> None:
    with FaultServer([Reply(302, headers={"location": location})]) as server:
        async with Transport() as transport:
            with pytest.raises(Error) as caught:
                await whole(transport, f"{server.url}/file", most=100, trusted=server.url)
    assert (type(caught.value), str(caught.value)) == (kind, words)


async def test_a_redirect_may_hold_what_should_have_been_encoded() -> None:
    away = Reply(302, headers={"location": "/a file/\u00c3\u00bc.gguf?x=%20y|z#end"})
    with FaultServer([away, Reply(body=b"here")]) as server:
        async with Transport() as transport:
            found = await whole(transport, f"{server.url}/file", most=100, trusted=server.url)
    assert found[0] == b"here"
    assert server.requests[1].target == "/a%20file/%C3%BC.gguf?x=%20y|z"
