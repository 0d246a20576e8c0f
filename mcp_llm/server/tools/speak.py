"""The tool `speak`: words as a file of sound, linked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_llm.llm.speech import SPEECH, speak
from mcp_llm.server.made import OUTPUT, Making, make
from mcp_llm.types.speech import Sound

from .published import publish

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mcp.types import CallToolResult

    from mcp_llm.server.run import Run
    from mcp_llm.types.speech import Said


class SpeakArguments(Making):
    """One line each: every word is read by the calling model in every conversation."""

    text: str
    """What is spoken."""
    voice: Annotated[str | None, Field(description="the vendor's name")] = None
    speakers: Annotated[dict[str, str] | None, Field(description="name in the text -> voice")] = None
    format: Sound | None = None
    """Of the file."""
    speed: Annotated[float | None, Field(gt=0)] = None
    """1 is the usual one."""
    instructions: Annotated[str | None, Field(description="how to speak")] = None
    language: str | None = None
    """What is spoken, e.g. `en`."""


async def run_speak(given: SpeakArguments, run: Run) -> CallToolResult:
    """Speak it, as long as the host waits."""

    def work() -> Awaitable[Said]:
        return speak(
            run.service,
            given.text,
            voice=given.voice,
            speakers=given.speakers,
            format=given.format,
            speed=given.speed,
            instructions=given.instructions,
            language=given.language,
            **given.call(run),
        )

    return await make(run, SPEECH.name, given, given.text, work)


SPEAK = publish(
    run_speak,
    SpeakArguments,
    name="speak",
    title="Speak a text",
    description="Speak a text aloud. The reply links to the file of sound.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=True, destructive_hint=False),
)
