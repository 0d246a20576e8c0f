"""The other operations from Python, sync and async: what every surface calls, over the App of the running loop.

Each gives the whole result: the words in `response`, its receipt, and what was made as values and files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_llm.llm import embed as embedding
from mcp_llm.llm import image as painting
from mcp_llm.llm import speech as speaking
from mcp_llm.llm import transcribe as listening
from mcp_llm.twins import blocking, served
from mcp_llm.video import Films

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.llm.service import Service


def _service(app: App) -> Service:
    return app


def _films(app: App) -> Films:
    return Films(app, app.journals)


aembed = served("aembed", embedding.embed, _service)
agenerate_image = served("agenerate_image", painting.generate_image, _service)
atranscribe = served("atranscribe", listening.transcribe, _service)
aspeak = served("aspeak", speaking.speak, _service)
agenerate_video = served("agenerate_video", Films.make, _films)

embed = blocking(aembed)
generate_image = blocking(agenerate_image)
transcribe = blocking(atranscribe)
speak = blocking(aspeak)
generate_video = blocking(agenerate_video)
