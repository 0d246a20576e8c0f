"""The other operations against somebody else's imitation of the vendors (aimock), for `.ci/media`, which installs it.

Our own fault server answers what a test tells it to, whatever was asked; this one reads the requests.
"""

from __future__ import annotations

import base64
import json
import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_llm.files import sound
from mcp_llm.llm.backends import demo_media
from mcp_llm.llm.embed import embed
from mcp_llm.llm.image import generate_image
from mcp_llm.llm.speech import speak
from mcp_llm.llm.transcribe import transcribe
from mcp_llm.types.image import ImageRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from faults.asking import Asking

FOLDER = os.environ.get("MCP_LLM_AIMOCK")

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(FOLDER is None, reason="aimock is installed by .ci/media")]

WAV = sound.wav(b"\1\0" * 8000, 8000)


@asynccontextmanager
async def aimock(asking: Asking) -> AsyncIterator[tuple[str, bytes]]:
    """(a model there, the picture it makes); the server ends with the test."""
    png = (await demo_media.image(ImageRequest(prompt="x"), "demo")).pictures[0].data or b""
    words = [{"word": "Good", "start": 0, "end": 1}, {"word": "morning.", "start": 1, "end": 2}]
    segments = [{"id": 0, "text": "Good morning.", "start": 0, "end": 2}]
    transcription = {"text": "Good morning.", "language": "en", "duration": 2, "words": words, "segments": segments}
    answers = {
        "image": {"image": {"b64Json": base64.b64encode(png).decode(), "revisedPrompt": "a finer cat"}},
        "speech": {"audio": base64.b64encode(WAV).decode(), "format": "wav"},
        "transcription": {"transcription": transcription},
    }
    fixtures = [{"match": {"endpoint": name}, "response": answer} for name, answer in answers.items()]
    await anyio.Path(asking.home / "fixtures.json").write_text(json.dumps({"fixtures": fixtures}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [f"{FOLDER}/node", f"{FOLDER}/node_modules/@copilotkit/aimock/dist/cli.js"]
    command += ["-h", "127.0.0.1", "-p", str(port), "-f", str(asking.home / "fixtures.json")]
    async with await anyio.open_process(command, stdin=None, stdout=None, stderr=None) as process:
        try:
            with anyio.fail_after(30):
                while True:
                    try:
                        await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
                    except OSError:
                        await anyio.sleep(0.1)  # until it listens, which it tells nobody
                    else:
                        break
            yield asking.provider("mock", f"http://127.0.0.1:{port}/v1").partition(":")[0], png
        finally:
            process.terminate()


async def test_another_reader_of_our_requests_understands_them(asking: Asking) -> None:
    async with aimock(asking) as (provider, png), asking.open() as service:
        vectors = await embed(service, ["red", "blue"], model=f"{provider}:text-embedding-3-small", dimensions=4)
        assert [len(vector) for vector in vectors.embeddings] == [4, 4]
        painted = await generate_image(service, "a cat", model=f"{provider}:gpt-image-2", size="1024x1024")
        assert (painted.files[0].data, painted.revised_prompts) == (png, ("a finer cat",))
        changed = await generate_image(service, "red", images=[png], mask=png, model=f"{provider}:gpt-image-2")
        assert changed.files[0].data == png
        said = await speak(service, "Good morning.", model=f"{provider}:tts-1", format="wav")
        assert said.files[0].data == WAV
        heard = await transcribe(service, WAV, model=f"{provider}:whisper-1", timestamps="word", language="en")
        assert heard.response == "Good morning."
        assert [one.text for one in heard.words] == ["Good", "morning."]


async def test_its_stream_of_a_transcript_is_read_as_it_comes(asking: Asking) -> None:
    words: list[str] = []

    async def say(piece: str) -> Any:
        words.append(piece)

    async with aimock(asking) as (provider, _), asking.open() as service:
        heard = await transcribe(service, WAV, model=f"{provider}:gpt-transcribe", on_text=say)
    assert heard.response == "".join(words) == "Good morning."
