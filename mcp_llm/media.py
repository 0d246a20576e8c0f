"""The other operations from Python, sync and async: plain functions over the same Service as `generate`.

Each gives the whole result: the words in `response`, its receipt, and what was made as values and files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack, cast

from mcp_llm.background import background, opened
from mcp_llm.llm import embed as embedding
from mcp_llm.llm import image as painting
from mcp_llm.llm import speech as speaking
from mcp_llm.llm import transcribe as listening

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mcp_llm.app import App
    from mcp_llm.llm.doing import Call
    from mcp_llm.types.embed import Embedded, InputType
    from mcp_llm.types.image import Background, Format, Painted, Quality
    from mcp_llm.types.speech import Said, Sound
    from mcp_llm.types.transcribe import Timestamps, Transcribed
    from mcp_llm.types.video import Filmed


async def aembed(
    input: str | Sequence[str],
    *,
    dimensions: int | None = None,
    input_type: InputType | None = None,
    truncate: bool | None = None,
    continue_from: str | None = None,
    **call: Unpack[Call],
) -> Embedded:
    """Vectors of texts, in their order: `.embeddings` are arrays of numbers. Raises the errors of `mcp_llm.errors`.

    `dimensions` is how long they shall be, `input_type` what they are for (`query`, `document`, ...); `truncate` False
    refuses texts that are too long. `continue_from` is what the error of the same call named, when it failed on the
    way. `model`, `context`, `budget_usd`, `timeout_s` and `options` are as in `agenerate_result`.
    """
    return await embedding.embed(
        await opened.get(),
        input,
        dimensions=dimensions,
        input_type=input_type,
        truncate=truncate,
        continue_from=continue_from,
        **call,
    )


def embed(input: str | Sequence[str], **arguments: Any) -> Embedded:
    """`aembed` for code that is not async; works inside a running event loop too (and blocks it)."""
    return background.call(lambda: aembed(input, **arguments))


async def agenerate_image(
    prompt: str,
    *,
    images: Sequence[Any] = (),
    mask: Any = None,
    n: int = 1,
    size: str | None = None,
    quality: Quality | None = None,
    background: Background | None = None,
    format: Format | None = None,
    partial: int | None = None,
    on_partial: Callable[[bytes], Awaitable[None]] | None = None,
    **call: Unpack[Call],
) -> Painted:
    """Pictures of the prompt, in `.files`: each has its `data`, `mime` and the `path` where it is kept.

    With `images` (paths, URLs, bytes, picture objects) it changes or combines them; `mask` is a picture whose
    transparent places say where. `size` is `1024x1024`, `16:9`, `2K` or `auto`. `partial` (1 to 3) asks for unfinished
    states, which `on_partial` gets. The other keywords are those of `aembed`.
    """
    return await painting.generate_image(
        await opened.get(),
        prompt,
        images=images,
        mask=mask,
        n=n,
        size=size,
        quality=quality,
        background=background,
        format=format,
        partial=partial,
        on_partial=on_partial,
        **call,
    )


def generate_image(prompt: str, **arguments: Any) -> Painted:
    """`agenerate_image` for code that is not async."""
    return background.call(lambda: agenerate_image(prompt, **arguments))


async def atranscribe(
    file: Any,
    *,
    language: str | None = None,
    prompt: str | None = None,
    timestamps: Timestamps | None = None,
    diarize: bool | None = None,
    translate: bool | None = None,
    on_text: Callable[[str], Awaitable[None]] | None = None,
    **call: Unpack[Call],
) -> Transcribed:
    """What is said in a recording (path, bytes, data URI): `.response`, and `.segments` or `.words` with their times.

    `language` is what is spoken, `prompt` names and words that occur; `timestamps` is `segment` or `word`, `diarize`
    tells speakers apart, `translate` writes English. `on_text` gets the words as they come where the model streams.
    The other keywords are those of `aembed`.
    """
    return await listening.transcribe(
        await opened.get(),
        file,
        language=language,
        prompt=prompt,
        timestamps=timestamps,
        diarize=diarize,
        translate=translate,
        on_text=on_text,
        **call,
    )


def transcribe(file: Any, **arguments: Any) -> Transcribed:
    """`atranscribe` for code that is not async."""
    return background.call(lambda: atranscribe(file, **arguments))


async def aspeak(
    text: str,
    *,
    voice: str | None = None,
    speakers: dict[str, str] | None = None,
    format: Sound | None = None,
    speed: float | None = None,
    instructions: str | None = None,
    language: str | None = None,
    on_sound: Callable[[bytes], Awaitable[None]] | None = None,
    **call: Unpack[Call],
) -> Said:
    """The text as sound, in `.files[0]`: its `data`, `mime` and the `path` where it is kept.

    `voice` is one of the vendor's, `speakers` are names in the text with a voice for each, `instructions` say how it
    is spoken, `format` is mp3, opus, aac, flac, wav or pcm. `on_sound` gets the bytes as they come. The other keywords
    are those of `aembed`.
    """
    return await speaking.speak(
        await opened.get(),
        text,
        voice=voice,
        speakers=speakers,
        format=format,
        speed=speed,
        instructions=instructions,
        language=language,
        on_sound=on_sound,
        **call,
    )


def speak(text: str, **arguments: Any) -> Said:
    """`aspeak` for code that is not async."""
    return background.call(lambda: aspeak(text, **arguments))


async def agenerate_video(
    prompt: str,
    *,
    image: Any = None,
    references: Sequence[Any] = (),
    seconds: int | None = None,
    ratio: str | None = None,
    resolution: str | None = None,
    **call: Unpack[Call],
) -> Filmed:
    """A short film, in `.files[0]`; takes minutes. It is a run: when this process ends, another can go on with it.

    `image` is its first picture, `references` show who or what occurs; `ratio` is `16:9`, `resolution` `720p`. The
    other keywords are those of `aembed`; `timeout_s` is how long the job is asked for.
    """
    from mcp_llm.video import Films

    app = cast("App", await opened.get())
    return await Films(app, app.journals).make(
        prompt,
        image=image,
        references=references,
        seconds=seconds,
        ratio=ratio,
        resolution=resolution,
        **call,
    )


def generate_video(prompt: str, **arguments: Any) -> Filmed:
    """`agenerate_video` for code that is not async."""
    return background.call(lambda: agenerate_video(prompt, **arguments))
