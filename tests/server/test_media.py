"""The pack `media` through a real MCP client: off unless it is asked for, files as links, never megabytes of words."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from faults.server import FaultServer, Reply
from mcp import Client
from server.test_tools import tokens

from mcp_llm import config as configuration
from mcp_llm.files import sound
from mcp_llm.server.build import build, definitions
from mcp_llm.server.life import Heart

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.config import Config

pytestmark = pytest.mark.anyio

PACK = {"embed", "generate_image", "generate_video", "speak", "transcribe"}


@pytest.fixture
def media(home: Path) -> Config:
    return configuration.load(overrides={"discover": False, "packs": ("core", "media")})


@pytest.fixture
def server(media: Config) -> Any:
    return build(media, [], Heart(first=0.01, beat=0.01))


async def call(server: Any, name: str, **arguments: Any) -> Any:
    async with Client(server) as client:
        result: Any = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    return result


async def refused(server: Any, name: str, **arguments: Any) -> str:
    async with Client(server) as client:
        result: Any = await client.call_tool(name, arguments)
    assert result.is_error
    return str(result.content[0].text)


def test_the_pack_is_off_by_default_and_cheap_when_it_is_on(config: Config, media: Config, report: list[str]) -> None:
    usual = {tool["name"] for tool in definitions(config)}
    assert not usual & PACK
    counted = {tool["name"]: tokens(tool) for tool in definitions(media) if tool["name"] not in usual}
    report.append(f"pack media, tokens at most: {counted}, together {sum(counted.values())}")
    assert set(counted) == PACK
    assert sum(counted.values()) <= 3000


async def test_vectors_are_a_file_and_the_reply_says_how_many(server: Any) -> None:
    async with Client(server) as client:
        result: Any = await client.call_tool("embed", {"input": ["red fish", "tax return"]})
        words, link = result.content
        assert words.text.startswith("2 vectors of 64 dimensions\n\nembeddings.json (application/json, ")
        assert "[demo:demo · " in words.text
        assert (link.type, link.mime_type, link.name) == ("resource_link", "application/json", "embeddings.json")
        assert result.structured_content["files"][0]["uri"] == link.uri
        assert "embeddings" not in result.structured_content
        read: Any = (await client.read_resource(link.uri)).contents[0]
    vectors = json.loads(read.text)["embeddings"]
    assert [len(vector) for vector in vectors] == [64, 64]
    assert link.size == len(read.text.encode())


async def test_a_few_numbers_are_in_the_reply_where_they_are_asked_for(server: Any) -> None:
    result = await call(server, "embed", input="red", dimensions=4, inline=True)
    (vector,) = result.structured_content["embeddings"]
    assert len(vector) == 4
    assert json.loads(result.content[1].text) == {"embeddings": [vector]}
    told = await refused(server, "embed", input=["red"] * 100, inline=True)
    assert "100 x 64 numbers are too many for a reply" in told


async def test_nothing_to_embed_is_an_error(server: Any) -> None:
    assert "nothing to embed" in await refused(server, "embed", input=[])


async def test_a_small_picture_is_shown_and_linked(server: Any) -> None:
    async with Client(server) as client:
        result: Any = await client.call_tool("generate_image", {"prompt": "a red cat"})
        words, picture, link = result.content
        read: Any = (await client.read_resource(link.uri)).contents[0]
    assert words.text.startswith("1 picture\n\na-red-cat.png (image/png, ")
    assert (picture.type, picture.mime_type, len(picture.data) < 8192) == ("image", "image/png", True)
    assert (link.mime_type, link.name, read.blob) == ("image/png", "a-red-cat.png", picture.data)
    assert result.structured_content["files"][0].keys() == {"uri", "sha256", "mime", "size", "name", "path"}


async def test_what_was_made_can_be_named_again_by_its_link_or_its_file(server: Any) -> None:
    async with Client(server) as client:
        spoken: Any = await client.call_tool("speak", {"text": "Good morning"})
        (file,) = spoken.structured_content["files"]
        for name in (file["uri"], file["path"]):
            heard: Any = await client.call_tool("transcribe", {"file": name})
            assert "of audio/wav and did not listen" in heard.content[0].text
        unknown: Any = await client.call_tool("transcribe", {"file": "artifacts://" + "0" * 64})
        assert unknown.is_error
        assert "there is no artifact" in unknown.content[0].text


async def test_a_prompt_for_no_picture_is_an_error(server: Any) -> None:
    assert "`prompt` is empty" in await refused(server, "generate_image", prompt=" ")


async def test_a_recording_is_written_down(server: Any) -> None:
    uri = "data:audio/wav;base64," + base64.b64encode(sound.wav(bytes(16_000), 8000)).decode()
    result = await call(server, "transcribe", file=uri, timestamps="segment")
    assert result.content[0].text.startswith("This is mcp-llm's built-in demo, no model. It was given 16,044 bytes")
    assert result.structured_content["segments"][0]["end"] == 1.0
    assert "· 1 s long ·" in result.content[0].text


async def test_words_are_spoken_into_a_file_and_not_into_the_reply(server: Any) -> None:
    result = await call(server, "speak", text="Good morning to you")
    words, link = result.content
    assert words.text.startswith("spoken: 19 characters, 0.5 s\n\ngood-morning-to-you.wav (audio/wav, 8,044 bytes)")
    assert (link.mime_type, link.size) == ("audio/wav", 8044)


async def test_a_film_that_takes_long_is_a_run_and_the_job_is_ordered_once(home: Path) -> None:
    film = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(100)
    with FaultServer(scripts={"api": [], "films": []}) as upstream:
        done = {"status": "done", "video": {"url": f"{upstream.url}/films/1.mp4", "duration": 6}}
        waits = Reply(body=b'{"status": "pending"}')
        upstream._scripts["api"] = [Reply(body=b'{"request_id": "1"}'), waits, Reply(body=json.dumps(done).encode())]
        upstream._scripts["films"] = [Reply(headers={"content-type": "video/mp4"}, body=film)]
        provider = {"base_url": f"{upstream.url}/api", "wires": {"video": "xai"}, "auth": {"required": False}}
        overrides = {"discover": False, "packs": ("core", "media"), "providers": {"acme": provider}}
        opened: list[Any] = []
        go = anyio.Event()
        server = build(configuration.load(overrides=overrides), opened, Heart(first=0.01, beat=0.01))
        async with Client(server) as client:
            opened[0].llm.sleep = lambda _: go.wait()
            begun: Any = await client.call_tool("generate_video", {"prompt": "waves", "model": "acme:m", "wait_s": 0.2})
            assert begun.structured_content["status"] == "running"
            go.set()
            run_id = begun.structured_content["run_id"]
            ended: Any = await client.call_tool("runs", {"action": "wait", "run_id": run_id, "wait_s": 20})
            assert "1 film, 6 s" in ended.content[0].text
            uri = ended.structured_content["files"][0]["uri"]
            read: Any = (await client.read_resource(uri)).contents[0]
        assert base64.b64decode(read.blob) == film
        assert [one.method for one in upstream.requests].count("POST") == 1
