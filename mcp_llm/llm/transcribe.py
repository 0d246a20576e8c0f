"""Writing recordings down, as every surface offers it: of any length, in pieces where the vendor's limit needs it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Unpack

import anyio
import anyio.to_thread
from pydantic import ValidationError

from mcp_llm.errors import Error, InvalidInput, TooLarge
from mcp_llm.files import sound
from mcp_llm.store.artifacts import LOCAL
from mcp_llm.types.message import Media
from mcp_llm.types.transcribe import Transcribed, TranscribeRequest
from mcp_llm.types.usage import Usage

from .doing import doing, unusable
from .operation import Operation
from .watching import Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.types.transcribe import Segment, Timestamps, Transcript

    from .doing import Call, Doing
    from .operation import Called
    from .service import Service

MOST: Final = 512 * 1024 * 1024
"""Bytes of a recording."""
AT_ONCE: Final = 4
GAP: Final = "[...]"
"""What stands in a broken transcript for a piece that was not heard, between those that were."""


def _counted(request: TranscribeRequest) -> Usage:
    return Usage(seconds=request.duration)


TRANSCRIBE: Final[Operation[TranscribeRequest, Transcript]] = Operation(
    "transcribe",
    counted=_counted,
    worst=_counted,
    soft=frozenset({"prompt", "language", "timestamps", "stream"}),
    patience_s=300.0,
)


async def transcribe(  # noqa: D417 - whoever calls the public form gives no `service`
    service: Service,
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
    """What is said in a recording: `.response`, and `.segments` or `.words` with their seconds.

    Args:
        file: A path, bytes or a data URI.
        language: What is spoken, `en`.
        prompt: Names and words that occur.
        timestamps: `segment` or `word` asks for times.
        diarize: Tell speakers apart.
        translate: Write English.
        on_text: Awaited with the words as they come, where the model streams.
        call: `model`, `context`, `budget_usd` (dollars), `timeout_s` (seconds) and `options`, as in `agenerate_result`.

    Raises:
        Error: One of `mcp_llm.errors`.
    """
    media = await _recording(service, file, call.get("principal", LOCAL))
    data = base64.b64decode(media.data or "")
    try:
        request = TranscribeRequest(
            data=data,
            mime=media.mime,
            name=_name(media),
            language=language,
            prompt=prompt,
            timestamps=timestamps,
            diarize=diarize,
            translate=translate,
            stream=True if on_text is not None else None,
            duration=await anyio.to_thread.run_sync(sound.duration, data),
            options=call.get("options") or {},
        )
    except ValidationError as exc:
        raise unusable(exc) from None
    async with doing(service, TRANSCRIBE.name, call) as this:
        work = _Work(this, await _pieces(request, this.plan.targets[0].quirks), on_text)
        await work.do()
        given = [work.calls[at].given for at in sorted(work.calls)]
        begins = [begin for begin, _ in work.pieces]
        text = " ".join(one.text.strip() for one in given) if len(given) > 1 else given[0].text
        durations = [one.duration for one in given]
        made = Transcribed(
            response=text,
            language=next((one.language for one in given if one.language), None),
            duration=request.duration
            if request.duration is not None
            else None
            if None in durations
            else sum(value for value in durations if value is not None),
            segments=_later([one.segments for one in given], begins),
            words=_later([one.words for one in given], begins),
            **this.fields([work.calls[at] for at in sorted(work.calls)], *work.notes()),
        )
        this.finish(made)
        return made


@dataclass(slots=True)
class _Work:
    """The requests of one call."""

    this: Doing
    pieces: list[tuple[float, TranscribeRequest]]
    on_text: Callable[[str], Awaitable[None]] | None
    calls: dict[int, Called[TranscribeRequest, Transcript]] = field(default_factory=dict)
    failed: Error | None = None

    async def do(self) -> None:
        """All pieces, some at once; what had come before a failure is told with it."""
        await self._one(0)
        self.this.plan.targets = [self.calls[0].begun.target] if 0 in self.calls else self.this.plan.targets
        slots = anyio.Semaphore(AT_ONCE)

        async def another(at: int) -> None:
            async with slots:
                if self.failed is None:
                    await self._one(at)

        async with anyio.create_task_group() as tasks:
            for at in range(1, len(self.pieces)):
                tasks.start_soon(another, at)
        if self.failed is not None:
            if self.calls:  # they are paid for
                last = max(self.calls)
                heard = (self.calls[at].given.text.strip() if at in self.calls else GAP for at in range(last + 1))
                self.failed.partial = " ".join(heard)
            raise self.failed

    async def _one(self, at: int) -> None:
        this = self.this
        whole = len(self.pieces) == 1
        watch = Watch(TRANSCRIBE.name, this, self.on_text) if whole and self.on_text is not None else None
        request = self.pieces[at][1]
        try:
            self.calls[at] = await this.service.llm.call(
                TRANSCRIBE, request, this.plan, this.part(), on_data=watch.begin if watch else None
            )
        except Error as exc:
            self.failed = self.failed or exc
        if not whole:
            this.progress.tell(f"{len(self.calls)} of {len(self.pieces)} pieces")
        elif self.on_text is not None and watch is not None and not watch.count and at in self.calls:
            await self.on_text(self.calls[at].given.text)

    def notes(self) -> list[str]:
        """What the caller should know of the cutting."""
        if len(self.pieces) == 1:
            return []
        told = [f"the recording was sent in {len(self.pieces)} pieces"]
        if self.pieces[0][1].diarize:
            told.append("speakers are named anew in every piece")
        return told


async def _recording(service: Service, file: Any, principal: str) -> Media:
    parts, _ = await service.attachments([file], most=MOST, principal=principal)
    part = parts[0]
    if not isinstance(part, Media) or part.modality not in {"audio", "video"}:
        raise InvalidInput("this is no recording; pass the path or bytes of a WAV, MP3, M4A, FLAC, OGG or WebM file")
    if part.data is None:
        raise InvalidInput("a recording cannot be sent as a URL: download it and pass the file")
    return part


def _name(media: Media) -> str:
    """Vendors tell the format by the ending."""
    ending = {"audio/mpeg": "mp3", "audio/mp4": "m4a", "audio/x-wav": "wav"}.get(media.mime)
    return f"recording.{ending or media.mime.partition('/')[2]}"


async def _pieces(request: TranscribeRequest, quirks: Any) -> list[tuple[float, TranscribeRequest]]:
    """(where it begins, request) of each piece; one where the vendor takes it whole."""
    most = getattr(quirks, "max_bytes", None)
    if most is None or len(request.data) <= most:
        return [(0.0, request)]
    data = request.data
    if request.duration is None:
        made = await sound.to_wav(data)
        if made is None:
            raise TooLarge(
                f"the recording has {len(data):,} bytes, one request may have {most:,}. Pass it as WAV, which is cut "
                "into pieces here, or compress it (mono, 32 kbit/s), or install ffmpeg, which makes WAV of any format"
            )
        data = made
    cut = await anyio.to_thread.run_sync(sound.pieces, data, most)
    found = []
    for begin, piece in cut:
        update = {"data": piece, "mime": "audio/wav", "name": "recording.wav", "duration": sound.duration(piece)}
        found.append((begin, request.model_copy(update=update)))
    return found


def _later(pieces: list[list[Segment]], begins: list[float]) -> tuple[Segment, ...]:
    return tuple(one.later(begin) for part, begin in zip(pieces, begins, strict=True) for one in part)
