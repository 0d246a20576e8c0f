"""Pictures from the call to the file: bytes that are none, replies too large, edits, streams, what was paid for."""

from __future__ import annotations

import base64
import json
import resource
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from faults.server import FaultServer, Reply

from mcp_llm.errors import BudgetExceeded, Garbled, InvalidInput, Refused, TooLarge
from mcp_llm.llm.backends.demo_media import image as demo
from mcp_llm.llm.image import generate_image
from mcp_llm.types.image import ImageRequest

if TYPE_CHECKING:
    from pathlib import Path

    from faults.asking import Asking

pytestmark = pytest.mark.anyio

PRICED = """
[models.m]
kind = "image"
price = { image = 0.04, source = "test", checked = 2026-01-01 }
"""
MIB = 1024 * 1024


async def png(words: str = "a") -> bytes:
    data = (await demo(ImageRequest(prompt=words), "demo")).pictures[0].data
    assert data is not None
    return data


def packed(*pictures: bytes, **more: Any) -> Reply:
    rows = [{"b64_json": base64.b64encode(one).decode(), "revised_prompt": "a red cat"} for one in pictures]
    return Reply(body=json.dumps({"created": 1, "data": rows, **more}).encode())


def kept(home: Path) -> list[Path]:
    return [path for path in (home / "artifacts").glob("*") if path.suffix != ".json"]


async def test_pictures_are_files_named_by_their_bytes_and_paid_by_the_piece(asking: Asking) -> None:
    first, second = await png("1"), await png("2")
    with FaultServer([packed(first, second)]) as server:
        model = asking.provider("acme", server.url, PRICED)
        async with asking.open() as service:
            made = await generate_image(service, "A red cat, please!", model=model, n=2, size="1024x1024")
            assert [one.data for one in made.files] == [first, second]
            assert [await anyio.Path(one.path or "").read_bytes() for one in made.files] == [first, second]
            assert [one.name for one in made.files] == ["a-red-cat-please.png", "a-red-cat-please-2.png"]
            assert (made.response, made.revised_prompts) == ("2 pictures", ("a red cat",))
            assert made.usage.images == 2
            assert made.cost.usd == pytest.approx(0.08)
            row = await service.runs.result(made.run_id, "local")
            assert row is not None
            assert "data" not in row["result"]["files"][0]
        body = json.loads(server.requests[0].body)
    assert body == {"model": "m", "prompt": "A red cat, please!", "n": 2, "size": "1024x1024"}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"b64_json": "@@@"}, "base64 that is none"),
        ({"b64_json": base64.b64encode(b"<html>").decode()}, "no picture but"),
        ({"b64_json": ""}, "shape the wire does not have"),
        ({}, "shape the wire does not have"),
        ({"b64_json": 7}, "shape the wire does not have"),
    ],
)
async def test_what_is_no_picture_is_garbled_and_nothing_is_written(asking: Asking, item: Any, words: str) -> None:
    with FaultServer([Reply(body=json.dumps({"data": [item]}).encode())]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            with pytest.raises(Garbled, match=words):
                await generate_image(service, "x", model=model)
    assert kept(asking.home) == []


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such figure")
async def test_a_reply_of_200_mib_is_given_up_at_the_cap_and_fills_neither_memory_nor_disk(asking: Asking) -> None:
    endless = Reply(body=b'{"data": [{"b64_json": "', framing="chunked", forever=b"QUFB" * 65536)
    with FaultServer([endless]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(timeouts={"connect": 5, "first_byte": 30, "idle": 30, "total": 60}) as service:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with pytest.raises(TooLarge, match="64 MiB"):
                await generate_image(service, "x", model=model)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (
                1 if sys.platform == "darwin" else 1024
            )
        assert grown < 96 * MIB
        assert server.sent < 100 * MIB
    assert kept(asking.home) == []


async def test_a_picture_is_changed_with_its_mask_as_files_of_a_form(asking: Asking) -> None:
    red, mask = await png("red"), await png("mask")
    with FaultServer([packed(await png())]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            await generate_image(service, "a hat", images=[red], mask=mask, model=model, quality="high")
        request = server.requests[0]
    assert request.target == "/images/edits"
    kind = request.headers["content-type"]
    assert kind.startswith("multipart/form-data; boundary=")
    parts = request.body.split(b"--" + kind.partition("boundary=")[2].encode())
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    heads = [part.partition(b"\r\n\r\n")[0].decode().strip() for part in parts[1:-1]]
    assert heads == [
        'Content-Disposition: form-data; name="model"',
        'Content-Disposition: form-data; name="prompt"',
        'Content-Disposition: form-data; name="quality"',
        'Content-Disposition: form-data; name="image"; filename="image-0.png"\r\nContent-Type: image/png',
        'Content-Disposition: form-data; name="mask"; filename="mask-0.png"\r\nContent-Type: image/png',
    ]
    assert red in request.body


async def test_unfinished_states_come_on_the_way_and_only_the_finished_one_is_kept(asking: Asking) -> None:
    early, done = await png("early"), await png("done")
    events: list[dict[str, Any]] = [
        {
            "type": "image_generation.partial_image",
            "partial_image_index": 0,
            "b64_json": base64.b64encode(early).decode(),
        },
        {
            "type": "image_generation.completed",
            "b64_json": base64.b64encode(done).decode(),
            "usage": {"input_tokens": 5, "output_tokens": 100, "input_tokens_details": {"image_tokens": 2}},
        },
    ]
    body = b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)
    with FaultServer([Reply(headers={"content-type": "text/event-stream"}, body=body, piece=100)]) as server:
        model = asking.provider("acme", server.url)
        seen: list[bytes] = []

        async def show(data: bytes) -> None:
            seen.append(data)

        async with asking.open() as service:
            made = await generate_image(service, "x", model=model, partial=1, on_partial=show)
        assert json.loads(server.requests[0].body)["stream"] is True
    assert seen == [early]
    assert [one.data for one in made.files] == [done]
    assert (made.usage.input, made.usage.output) == (5, 100)


async def test_one_picture_a_request_makes_several_requests_and_keeps_what_came(asking: Asking) -> None:
    quirks = "[quirks.image]\nmax_n = 1\n"
    bad = Reply(status=400, body=b'{"error": {"message": "no"}}')
    with FaultServer([packed(await png()), bad, packed(await png("z"))]) as server:
        model = asking.provider("acme", server.url, quirks)
        async with asking.open() as service:
            made = await generate_image(service, "x", model=model, n=3)
            assert made.response == "2 pictures"
            assert any(words.startswith("1 of 3 requests failed") for words in made.warnings)


async def test_one_bad_picture_does_not_cost_its_siblings(asking: Asking) -> None:
    good = await png()
    with FaultServer([packed(good, b"no picture at all", good)]) as server:
        model = asking.provider("acme", server.url, PRICED)
        async with asking.open() as service:
            made = await generate_image(service, "x", model=model, n=3)
            (spent,) = await service.purse.ledger.spend("operation")
    assert ([one.data for one in made.files], made.response) == ([good, good], "2 pictures")
    assert any("what came is no picture" in words for words in made.warnings)
    assert (spent.calls, str(spent.usd)) == (1, "0.120000000")


async def test_a_refusal_is_one(asking: Asking) -> None:
    error = {"error": {"message": "Your request was rejected by the safety system.", "code": "moderation_blocked"}}
    with FaultServer([Reply(status=400, body=json.dumps(error).encode())]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            with pytest.raises(Refused):
                await generate_image(service, "x", model=model)


async def test_a_picture_behind_a_url_of_a_private_place_is_not_fetched(asking: Asking) -> None:
    body = json.dumps({"data": [{"url": "https://169.254.169.254/latest/meta-data"}]}).encode()
    with FaultServer([Reply(body=body)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            made = await generate_image(service, "x", model=model)
    assert (made.response, made.files) == ("0 pictures", ())
    assert any("no public address" in words for words in made.warnings)


async def test_a_server_of_the_users_own_may_point_to_itself(asking: Asking) -> None:
    data = await png()
    with FaultServer(
        scripts={"v1": [Reply()], "made": [Reply(headers={"content-type": "image/png"}, body=data)]}
    ) as server:
        body = json.dumps({"data": [{"url": f"{server.url}/made/1.png"}]}).encode()
        server._scripts["v1"] = [Reply(body=body)]
        model = asking.provider("acme", f"{server.url}/v1")
        async with asking.open() as service:
            made = await generate_image(service, "x", model=model)
        fetched = next(one for one in server.requests if one.target.startswith("/made/"))
    assert [one.data for one in made.files] == [data]
    assert "authorization" not in fetched.headers


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prompt": " "}, "`prompt` is empty"),
        ({"prompt": "x" * 32_001}, "32,001 characters"),
        ({"prompt": "x", "n": 0}, "`n` is 0"),
        ({"prompt": "x", "n": 11}, "1 to 10"),
        ({"prompt": "x", "quality": "best"}, "`quality`"),
        ({"prompt": "x", "images": [b"some text"]}, "`images` 1 is no picture"),
    ],
)
async def test_what_cannot_be_painted_is_said_before_anything_is_sent(
    asking: Asking, arguments: dict[str, Any], words: str
) -> None:
    async with asking.open() as service:
        with pytest.raises(InvalidInput, match=words):
            await generate_image(service, **arguments)


async def test_a_budget_counts_pictures(asking: Asking) -> None:
    with FaultServer([packed(await png())]) as server:
        model = asking.provider("acme", server.url, PRICED)
        async with asking.open() as service:
            with pytest.raises(BudgetExceeded, match=r"may cost \$0\.16 "):
                await generate_image(service, "x", model=model, n=4, budget_usd=0.1)
        assert server.requests == []


async def test_what_somebody_else_made_is_not_read(asking: Asking) -> None:
    async with asking.open() as service:
        made = await generate_image(service, "a cat", model="demo", principal="ann")
        (file,) = made.files
        assert file.path is None
        again = await generate_image(service, "redder", images=[file.uri], model="demo", principal="ann")
        assert again.provider == "demo"
        for whose in ("bob", "local"):
            with pytest.raises(InvalidInput, match="there is no artifact"):
                await generate_image(service, "x", images=[file.uri], model="demo", principal=whose)
        with pytest.raises(InvalidInput):
            await service.attachments([file.uri])
