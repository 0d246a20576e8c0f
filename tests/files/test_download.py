"""A big file fetched over real sockets: gone on with, checked, never with a token for whoever the hub points to."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from faults.certificates import Certificates
from faults.server import FaultServer, Reply

from mcp_llm.errors import Conflict, Denied, Disconnected, Garbled, NotFound, StoreError, TooLarge
from mcp_llm.files.alone import alone
from mcp_llm.files.download import Downloaded, download
from mcp_llm.http.fetch import whole
from mcp_llm.http.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.anyio
DATA = bytes(range(256)) * 5000
HASH = hashlib.sha256(DATA).hexdigest()
KIND = {"content-type": "application/octet-stream"}


def rest(start: int, headers: Mapping[str, str] | None = None, *, end: int = len(DATA)) -> Reply:
    spoken = {**KIND, "content-range": f"bytes {start}-{end - 1}/{len(DATA)}", **(headers or {})}
    return Reply(status=206, headers=spoken, body=DATA[start:end])


def names(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


async def fetch(server: FaultServer, path: Path, **how: Any) -> Downloaded:
    async with Transport() as transport:
        return await download(transport, f"{server.url}/o/r/file.gguf", path, trusted=server.url, **how)


async def test_a_file_comes_whole_with_its_hash(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    with FaultServer([Reply(headers={**KIND, "x-linked-etag": f'"{HASH}"'}, body=DATA)]) as server:
        got = await fetch(server, tmp_path / "file.gguf", token="hf_token", progress=lambda *now: seen.append(now))
    assert got == Downloaded(tmp_path / "file.gguf", len(DATA), HASH, checked=True)
    assert (tmp_path / "file.gguf").read_bytes() == DATA
    assert names(tmp_path) == ["file.gguf"]
    assert server.requests[0].headers["authorization"] == "Bearer hf_token"
    assert seen[-1] == (len(DATA), len(DATA))


async def test_what_broke_off_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "file.gguf"
    with FaultServer([Reply(headers=KIND, body=DATA, reset=600_000)]) as server, pytest.raises(Disconnected):
        await fetch(server, path)
    part = tmp_path / ".file.gguf.part"
    here = part.stat().st_size
    assert 0 < here <= 600_000
    with FaultServer([rest(here)]) as server:
        got = await fetch(server, path, sha256=HASH)
        assert server.requests[0].headers["range"] == f"bytes={here}-"
    assert (got.checked, got.sha256, path.read_bytes() == DATA, part.exists()) == (True, HASH, True, False)


OTHER = bytes(reversed(DATA))
TAG = {"etag": '"v1"'}
DATE = {"last-modified": "Sat, 01 Aug 2026 10:00:00 GMT", "date": "Sun, 02 Aug 2026 10:00:00 GMT"}


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        (TAG, '"v1"'),
        (DATE, DATE["last-modified"]),
        ({**DATE, "etag": 'W/"v1"'}, DATE["last-modified"]),
        ({**DATE, "date": DATE["last-modified"]}, None),  # changed again within that second, it would say the same
        ({"etag": 'W/"v1"'}, None),
        ({"last-modified": DATE["last-modified"], "date": "today"}, None),
        ({}, None),
    ],
)
async def test_a_part_is_gone_on_with_only_as_the_version_that_it_is_of(
    tmp_path: Path, headers: dict[str, str], condition: str | None
) -> None:
    """The server knows conditions: it gives all of the file where it has changed."""
    path = tmp_path / "file.gguf"
    cut = Reply(headers={**KIND, **headers}, body=DATA, reset=600_000)
    with FaultServer([cut, Reply(headers=KIND, body=OTHER)]) as server:
        with pytest.raises(Disconnected):
            await fetch(server, path)
        await fetch(server, path)
    assert path.read_bytes() == OTHER
    asked = server.requests[1].headers
    assert (asked.get("if-range"), "range" in asked) == (condition, condition is not None)
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("said", "now"),
    [
        (TAG, {"etag": '"v2"'}),
        (DATE, {"last-modified": "Sun, 02 Aug 2026 10:00:00 GMT", "date": "Mon, 03 Aug 2026 10:00:00 GMT"}),
        ({"x-linked-etag": hashlib.sha256(OTHER).hexdigest()}, {"x-linked-etag": HASH}),
    ],
)
async def test_a_server_that_knows_no_conditions_cannot_join_two_versions(
    tmp_path: Path, said: dict[str, str], now: dict[str, str]
) -> None:
    path = tmp_path / "file.gguf"
    cut = Reply(headers={**KIND, **said}, body=OTHER, reset=600_000)
    with FaultServer([cut, rest(10, now), Reply(headers={**KIND, **now}, body=DATA)]) as server:
        with pytest.raises(Disconnected):
            await fetch(server, path)
        os.truncate(tmp_path / ".file.gguf.part", 10)
        got = await fetch(server, path)
    assert (got.sha256, path.read_bytes() == DATA) == (HASH, True)
    assert ["range" in request.headers for request in server.requests] == [False, True, False]


async def test_a_server_may_give_less_than_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file.gguf"
    with FaultServer([rest(0, TAG, end=10), rest(10, TAG, end=500), rest(500, TAG)]) as server:
        got = await fetch(server, path)
    assert (got.sha256, names(tmp_path)) == (HASH, [path.name])
    assert [request.headers.get("range") for request in server.requests] == [None, "bytes=10-", "bytes=500-"]
    with (
        FaultServer([rest(0, TAG, end=10), rest(10, TAG, end=10)]) as server,
        pytest.raises(Garbled, match="100 pieces"),
    ):
        await fetch(server, tmp_path / "other.gguf")


async def test_what_a_redirect_says_of_its_own_body_is_not_the_files(tmp_path: Path) -> None:
    moved = Reply(status=302, headers={"location": "/cdn", "etag": '"of the redirect"'}, body=b"Found.")
    with FaultServer([moved, Reply(headers=KIND, body=DATA, framing="chunked")]) as server:
        got = await fetch(server, tmp_path / "file.gguf")
    assert (got.sha256, got.size) == (HASH, len(DATA))


async def test_one_process_at_a_time_fetches_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file.gguf"
    with FaultServer([Reply(headers=KIND, body=DATA)]) as server:
        with alone(path), pytest.raises(Conflict, match=r"another process is writing file\.gguf"):
            await fetch(server, path)
        assert (await fetch(server, path)).sha256 == HASH
    assert len(server.requests) == 1


async def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / ".file.gguf.part").write_bytes(DATA[:10])
    for words in ('{"place": "x", "mark": "a\\r\\nb"}', "[" * 10_000, ""):
        (tmp_path / ".file.gguf.part.json").write_text(words)
        with FaultServer([Reply(headers=KIND, body=DATA)]) as server:
            assert (await fetch(server, tmp_path / "file.gguf")).sha256 == HASH
        assert "range" not in server.requests[0].headers
        (tmp_path / "file.gguf").rename(tmp_path / ".file.gguf.part")


async def test_a_server_that_knows_no_ranges_gives_all_of_it(tmp_path: Path) -> None:
    (tmp_path / ".file.gguf.part").write_bytes(b"old")
    with FaultServer([Reply(headers=KIND, body=DATA)]) as server:
        got = await fetch(server, tmp_path / "file.gguf")
    assert (got.sha256, got.checked) == (HASH, False)


async def test_a_part_that_is_already_the_whole_is_taken(tmp_path: Path) -> None:
    (tmp_path / ".file.gguf.part").write_bytes(DATA)
    over = Reply(status=416, headers={"content-range": f"bytes */{len(DATA)}", "x-linked-etag": HASH})
    with FaultServer([over]) as server:
        got = await fetch(server, tmp_path / "file.gguf", sha256=HASH)
    assert (got.sha256, got.checked, len(server.requests)) == (HASH, True, 1)


@pytest.mark.parametrize("room", [1_000, 300_001])
async def test_a_full_disk_is_said_and_what_came_is_gone_on_with(tmp_path: Path, room: int) -> None:
    """Of so few bytes that they wait in a buffer until the file is closed, too."""
    resource = pytest.importorskip("resource")
    path, (soft, hard) = tmp_path / "file.gguf", resource.getrlimit(resource.RLIMIT_FSIZE)
    data = DATA[: 4 * room]
    digest = hashlib.sha256(data).hexdigest()
    with FaultServer([Reply(headers={**KIND, **TAG}, body=data)]) as server:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            with pytest.raises(StoreError, match=r"^file\.gguf cannot be written \(.*\); what came is kept$"):
                await fetch(server, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / ".file.gguf.part").stat().st_size == room
    rest_of_it = {**KIND, **TAG, "content-range": f"bytes {room}-{len(data) - 1}/{len(data)}"}
    with FaultServer([Reply(status=206, headers=rest_of_it, body=data[room:])]) as server:
        assert await fetch(server, path, sha256=digest) == Downloaded(path, len(data), digest, checked=True)
    assert path.read_bytes() == data
    assert names(tmp_path) == [path.name]


async def test_another_hash_and_another_part_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.gguf"
    with (
        FaultServer([Reply(headers={**KIND, "x-linked-etag": "0" * 64}, body=DATA)]) as server,
        pytest.raises(Garbled, match="not the file that was announced"),
    ):
        await fetch(server, path)
    assert names(tmp_path) == []
    (tmp_path / ".file.gguf.part").write_bytes(DATA[:10])
    with FaultServer([rest(11)]) as server, pytest.raises(Garbled, match="another part"):
        await fetch(server, path, sha256=HASH)
    assert (tmp_path / ".file.gguf.part").read_bytes() == DATA[:10]


async def test_what_is_there_is_not_fetched_again_and_what_is_missing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "file.gguf"
    with FaultServer([Reply(status=404)]) as server:
        with pytest.raises(NotFound, match=r"127\.0\.0\.1 has no such file"):
            await fetch(server, path)
        path.write_bytes(b"x")
        with pytest.raises(Conflict, match="there already"):
            await fetch(server, path)
    assert len(server.requests) == 1


async def test_a_redirect_leads_to_public_https_only_and_takes_no_token_along(tmp_path: Path) -> None:
    with FaultServer([Reply(body=DATA)]) as inner:
        for place in (f"{inner.url}/secret", "http://example.com/x", "https://127.0.0.1/x", "file:///etc/passwd"):
            with FaultServer([Reply(status=302, headers={"location": place})]) as server, pytest.raises(Denied):
                await fetch(server, tmp_path / "file.gguf", token="hf_token")
    assert inner.requests == []


@pytest.mark.parametrize(
    "host",
    ["[64:ff9b::7f00:1]", "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[fec0::1]",
     "[::ffff:0:7f00:1]", "[ff02::1]", "224.0.0.1"],
)  # fmt: skip
async def test_t9_no_form_of_a_private_address_is_fetched_from(host: str) -> None:
    async with Transport() as transport:
        with pytest.raises(Denied, match="no public address"):
            await whole(transport, f"https://{host}/x", most=100)


async def test_redirects_within_the_hub_end(tmp_path: Path) -> None:
    with (
        FaultServer([Reply(status=302, headers={"location": "/again"})]) as server,
        pytest.raises(Disconnected, match="redirects more than 3 times"),
    ):
        await fetch(server, tmp_path / "file.gguf")
    assert [request.target for request in server.requests] == ["/o/r/file.gguf", "/again", "/again", "/again"]


async def test_headers_of_the_redirect_count(tmp_path: Path) -> None:
    moved = Reply(status=302, headers={"location": "/cdn?sig=1", "x-linked-etag": f'"{HASH}"'})
    with FaultServer([moved, Reply(headers={**KIND, "etag": '"abc"'}, body=DATA)]) as server:
        got = await fetch(server, tmp_path / "file.gguf")
    assert (got.checked, server.requests[1].target) == (True, "/cdn?sig=1")


async def test_a_url_in_memory_is_capped_and_checked(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    picture = Reply(headers={"content-type": "image/png; x=1"}, body=b"PNG")
    with FaultServer([picture], tls=certificates.server()) as server:
        async with Transport(ca_file=certificates.ca_file) as transport:
            assert await whole(transport, f"{server.url}/a.png", most=3, trusted=server.url) == (b"PNG", "image/png")
            with pytest.raises(TooLarge):
                await whole(transport, f"{server.url}/a.png", most=2, trusted=server.url)
            for wrong in (
                f"{server.url}/a.png",
                "http://example.com/",
                "https://u:p@example.com/",
                "https://[::1",
                "x",
            ):
                with pytest.raises(Denied):
                    await whole(transport, wrong, most=3)
    assert len(server.requests) == 2
