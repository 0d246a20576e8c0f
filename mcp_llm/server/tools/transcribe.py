"""The tool `transcribe`: what is said in a recording, as words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_llm.llm.transcribe import TRANSCRIBE as OPERATION
from mcp_llm.llm.transcribe import transcribe
from mcp_llm.runs.recorder import Recorder
from mcp_llm.server.made import OUTPUT, Making, make
from mcp_llm.types.chat import Delta
from mcp_llm.types.message import Text
from mcp_llm.types.transcribe import Timestamps

from .published import publish

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mcp.types import CallToolResult

    from mcp_llm.server.run import Run
    from mcp_llm.types.transcribe import Transcribed


class TranscribeArguments(Making):
    """One line each: every word is read by the calling model in every conversation."""

    file: Annotated[str, Field(description="path or data URI of a recording")]
    language: Annotated[str | None, Field(description="spoken, e.g. en")] = None
    prompt: Annotated[str | None, Field(description="names and words that occur")] = None
    timestamps: Timestamps | None = None
    """Ask for times, of segments or of words."""
    diarize: Annotated[bool | None, Field(description="tell speakers apart")] = None
    translate: Annotated[bool | None, Field(description="write English")] = None


async def run_transcribe(given: TranscribeArguments, run: Run) -> CallToolResult:
    """Write it down, as long as the host waits; a run that goes on shows the words so far."""
    recorder = Recorder()

    async def said(words: str) -> None:
        await recorder.take([Delta(0, Text(words))])

    def work() -> Awaitable[Transcribed]:
        return transcribe(
            run.service,
            given.file,
            language=given.language,
            prompt=given.prompt,
            timestamps=given.timestamps,
            diarize=given.diarize,
            translate=given.translate,
            on_text=said,
            **given.call(run),
        )

    words = given.file[:200] if not given.file.startswith("data:") else "a recording"
    return await make(run, OPERATION.name, given, words, work, recorder=recorder)


TRANSCRIBE = publish(
    run_transcribe,
    TranscribeArguments,
    name="transcribe",
    title="Write speech down",
    description="Write down what is said in a recording, with times and speakers where wanted.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=True, destructive_hint=False),
)
