"""What clients and tools say: lines of MCP, arguments of calls, requests at the HTTP door and the tokens they bring."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import anyio

from mcp_llm.errors import ToolFailed
from mcp_llm.schemas.validator import validate
from mcp_llm.server import stdio
from mcp_llm.server.admission import Admission
from mcp_llm.server.http import door, guard
from mcp_llm.server.http.body import Bodies, Unread
from mcp_llm.settings import OAuth
from mcp_llm.toolsets import check, lines
from mcp_llm.toolsets import text as words
from mcp_llm.toolsets.listing import listing

from .picks import Picks
from .schemes import given
from .target import Target, finished, is_strict_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_llm.server.http.caller import Caller
    from mcp_llm.server.http.oauth import Issuer


class Pipe:
    """What is written back, and a transport that can always be read from."""

    full = False
    incoming: Any = None

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def post(self, line: bytes) -> None:
        self.written.append(line)

    def pause_reading(self) -> None:
        """Nothing comes but what is given."""


def served(data: bytes) -> None:
    """Every line is a message, answered with an error, or asks for nothing; the next one is always read."""
    pipe: Any = Pipe()
    mark, body = (data[0] if data else 0), data[1:]
    incoming = stdio.Incoming(pipe, Admission(3))
    incoming.lines.connection_made(pipe)
    size = (1, 3, 10, 50, 1000)[mark % 5]
    for at in range(0, len(body), size):
        incoming.lines.data_received(body[at : at + size])
    incoming.lines.eof_received()
    incoming.lines.connection_lost(None)

    async def all_of_them() -> None:
        async for message in incoming:
            message.message.model_dump_json(by_alias=True, exclude_unset=True)

    finished(all_of_them())
    for line in pipe.written:
        assert line.endswith(b"\n")
        answer = json.loads(line)
        assert answer["jsonrpc"] == "2.0"
        assert "id" in answer
        assert answer.get("result", {"isError": True})["isError"] is True


def child(data: bytes) -> None:
    """Lines of a server that we started: an object that can be sent on, or None; cut anywhere they are the same."""
    reader, whole = lines.Lines(), lines.Lines()
    mark, body = (data[0] if data else 0), data[1:]
    size = mark % 50 + 1
    cut = [line for at in range(0, len(body), size) for line in reader.feed(body[at : at + size])]
    assert cut == whole.feed(body)
    counted = lines.Values()
    for line in cut[:20]:
        counted.feed(line)
        value = finished(lines.parse(line)) if len(line) < lines.THREAD_FROM else anyio.run(lines.parse, line)
        assert value is None or is_strict_json(value)


def called(data: bytes) -> None:
    """Arguments that a model wrote for a tool: an object that JSON can carry, or a sentence the model can act on."""
    picks = Picks(data)
    size = picks.byte()
    schema = Picks(picks.data[picks.at : picks.at + size]).schema()
    picks.at += size
    text = picks.rest().decode("utf-8", "replace")
    try:
        arguments = check.parse(text)
    except ToolFailed as wrong:
        str(wrong).encode()
        return
    assert is_strict_json(arguments)
    check.without_nulls(arguments, schema)
    words.visible(text).encode()
    words.line(text, 100).encode()


def offered(data: bytes) -> None:
    """A tool as some server lists it: left out, or one whose schema any arguments can be checked against."""
    picks = Picks(data)
    arguments = {"a": picks.value(), "b": None}
    found = listing([{"name": "t", "inputSchema": given(picks.rest()), "description": picks.text()}])
    for tool in found.tools:
        is_strict_json(tool["name"])
        errors = validate(arguments, tool["inputSchema"])
        assert all(isinstance(one, str) for one in errors)
        check.without_nulls(arguments, tool["inputSchema"])
    assert all(len(note) < 1000 for note in found.notes)


class Nobody:
    """Knows no token."""

    async def caller(self, token: str) -> Caller | None:
        assert len(token) <= door.LONGEST
        return None

    async def revoked(self, token: str) -> bool:
        return False


@cache
def issuer() -> Issuer:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from mcp_llm.server.http.oauth import Issuer

    key = Ed25519PrivateKey.generate().public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    settings = OAuth(issuer="https://id.example", resource="https://us.example/mcp", key=pem)

    def none() -> Any:
        raise AssertionError("nothing is fetched")

    return Issuer(settings, none)


def token(data: bytes) -> None:
    """A bearer token that nobody has signed lets nobody in, and breaks nothing."""
    assert finished(issuer().caller(data.decode("latin-1"))) is None
    header, _, claims = data.partition(b"\n")
    packed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, claims, b"x" * 64))
    assert finished(issuer().caller(packed.decode())) is None


def at_the_door(data: bytes) -> None:
    """A request's headers and query: one answer each, with headers that HTTP can carry, and nobody comes in."""
    picks = Picks(data)
    query = picks.data[1 : 1 + picks.byte()]
    picks.at += len(query)
    headers = []
    for line in picks.rest().split(b"\n")[:30]:
        name, _, value = line.partition(b":")
        headers.append((name.strip().lower(), value.strip()))
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        assert await door.Door(Nobody(), required=True).admit(scope, send) is None
        with suppress(Unread):
            await Bodies(1000).read(dict(scope["headers"]), receive)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}"}

    scope: Any = {"type": "http", "method": "POST", "path": "/mcp", "query_string": query, "headers": headers}
    finished(guard.Guard(inner, origins=["https://app.example"])(scope, receive, send))
    assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]
    assert 400 <= sent[0]["status"] < 500
    pairs: Iterable[tuple[bytes, bytes]] = sent[0]["headers"]
    assert not any(b"\n" in value or b"\r" in value for _, value in pairs)
    json.loads(sent[1]["body"])


_MCP: Final = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"generate","arguments":{"prompt":"hi"}}}',
    b'{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
    b'{"jsonrpc":"2.0","id":1,"result":{}}\n{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"x"}}',
    b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
)
_JSON: Final = (
    b'{"',
    b'":',
    b"null",
    b"1e999",
    b'"\\ud800"',
    b"NaN",
    b"9" * 40,
    b"[[[",
    b'\\"',
    b"\\",
    b"\n",
    b'"id":',
    b'"method":',
    b"007",
    b"-",
)

TARGETS: Final = (
    Target(
        "mcp",
        served,
        tuple(b"\3" + one for one in _MCP),
        _JSON,
        (
            *tuple(
                (b"\4", one, b"")
                for one in (b"[", b"{", b'{"id":', b'"id":', b'"id":"', b" ", b"\n", b"a", b"{}\n", b'"id":-', b'\\"')
            ),
            (b'\4{"id":"', b"\\", b""),
        ),
    ),
    Target(
        "child",
        child,
        tuple(b"\x10" + one for one in (*_MCP, b"\xff{}\n{}\n", b'{"a":"\\ud83d","b":NaN}\n')),
        _JSON,
        (
            *((b"\x30", one, b"\n") for one in (b"[", b"{", b"a", b'{"a":', b'"')),
            *((b"\x30" + b'{"a":' * 150, one, b"\n") for one in (b"1", b"[", b'"', b"\\", b"]")),
            (b"\x30" + b"{" * 150 + b'"', b'\\"', b"\n"),
            (b"\x30" + b"{" * 150, b'"\\', b"\n"),
            (b"\x30" + b"{" * 150, b'"a" ', b"\n"),
            (b"\x30", b"{}\n", b""),
            (b'\x30{"a":"\xff', b"x", b'"}\n'),
        ),
    ),
    Target(
        "arguments",
        called,
        (b'\0{"a":1,"b":null}', b'\4\x28\x29\x2a\x2b"{\\"a\\": 1}"', b"\0null", b'\0{"a":"\\ud800\x1b[1m"}'),
        _JSON,
        (
            *(
                (b"\0", one, b"")
                for one in (b"{", b'{"a":', b'"', b'\\"', b"\x1b[", b"\x1b]", b" ", b"\xe2\x80\x8b", b"[")
            ),
            (b'\0{"a":"', b"\x1b]x", b'"}'),
            (b'\0{"a":"', b"\x1b[0", b'"}'),
            (b'\0"', b"{", b'"'),
        ),
    ),
    Target("tool-schema", offered, tuple(bytes(range(at, at + 120)) for at in (0, 60, 130)), (b"\xff", b"\x00")),
    Target(
        "token",
        token,
        (
            b'{"alg":"EdDSA","typ":"JWT"}\n{"sub":"a","exp":99999999999,"iss":"https://id.example","aud":"https://us.example/mcp"}',
            b"eyJhbGciOiJub25lIn0.e30.",
            b'{"alg":"RS256","kid":[1],"crit":["b64"],"b64":false}\n{}',
        ),
        (
            b'"alg":',
            b'"none"',
            b'"HS256"',
            b'"EdDSA"',
            b'"kid":',
            b'"crit":',
            b"null",
            b"[]",
            b"\n",
            b".",
            b"=",
            b"9" * 400,
            b"NaN",
        ),
        ((b"", b"a", b""), (b"", b".", b""), (b"", b"{", b""), (b"", b"[", b"")),
    ),
    Target(
        "door",
        at_the_door,
        (
            b"\0Host: localhost:8000\nAuthorization: Bearer abc\nContent-Type: application/json\n",
            b"\x0etoken=x&a=%zz;bHost: [::1]\nOrigin: http://localhost\n",
            b"\0Host: evil.example\n",
            b"\0Host: localhost\nOrigin: null\nAuthorization: Basic \xff\xfe\n",
        ),
        (
            b"Host: ",
            b"Origin: ",
            b"https://",
            b"Authorization: ",
            b"Bearer ",
            b"\n",
            b":",
            b"[::1]",
            b"%00",
            b"&token=",
            b"\r",
            b"\0",
        ),
        (
            (b"\0Host: ", b"a", b""),
            (b"\0Host: localhost\nAuthorization: Bearer ", b"a", b""),
            (b"\0Host: localhost\nOrigin: ", b"a:", b""),
        ),
    ),
)
