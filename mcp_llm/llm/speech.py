"""Speaking words, as every surface offers it: texts of any length as one file, bare samples with a header."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Unpack

import anyio
import anyio.to_thread
from pydantic import ValidationError

from mcp_llm.errors import Error, Garbled, InvalidInput, TooLarge
from mcp_llm.files import sniff, sound
from mcp_llm.types.speech import Said, SpeechRequest
from mcp_llm.types.usage import Usage

from .doing import doing, unusable
from .exchange import blame
from .operation import Operation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.types.speech import Sound, Spoken

    from .doing import Call
    from .operation import Called, Taker
    from .service import Service

LONGEST: Final = 200_000
"""Characters of one call: some four hours."""
_SENTENCE: Final = re.compile(r"(?<=[.!?…。！？])\s+|\n+")


def _counted(request: SpeechRequest) -> Usage:
    return Usage(characters=len(request.text))


SPEECH: Final[Operation[SpeechRequest, Spoken]] = Operation(
    "speech", counted=_counted, worst=_counted, soft=frozenset({"speed", "instructions", "language"}), patience_s=120.0
)


async def speak(  # noqa: D417 - whoever calls the public form gives no `service`
    service: Service,
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
    """The text as sound, in `.files[0]`: its `data` (bytes), `mime` and the `path` where it is kept.

    Args:
        text: What is spoken.
        voice: One of the vendor's.
        speakers: A voice for each name that speaks in the text.
        format: `mp3`, `opus`, `aac`, `flac`, `wav` or `pcm`.
        speed: 1 is the usual one.
        instructions: How it is spoken.
        language: What is spoken, `en`.
        on_sound: Awaited with the bytes of the file as they come; where they would not be those of the file in the end
            (samples without a header, several requests), with each request's sound once it is whole.
        call: `model`, `context`, `budget_usd` (dollars), `timeout_s` (seconds) and `options`, as in `agenerate_result`.

    Raises:
        Error: One of `mcp_llm.errors`.
    """
    if not text.strip():
        raise InvalidInput("`text` is empty: say what shall be spoken")
    if len(text) > LONGEST:
        raise TooLarge(f"the text has {len(text):,} characters; at most {LONGEST:,} are spoken in one call")
    if speed is not None and not 0.1 <= speed <= 10:
        raise InvalidInput(f"`speed` is {speed}; 1 is the usual one, 0.25 to 4 are common")
    try:
        request = SpeechRequest(
            text=text,
            voice=voice,
            speakers=speakers or {},
            format=format,
            speed=speed,
            instructions=instructions,
            language=language,
            options=call.get("options") or {},
        )
    except ValidationError as exc:
        raise unusable(exc) from None
    async with doing(service, SPEECH.name, call) as this:
        most = getattr(this.plan.targets[0].quirks, "max_characters", LONGEST)
        requests = [request.model_copy(update={"text": piece}) for piece in pieces(text, most)]
        if len(requests) > 1 and format not in {None, "mp3", "wav", "pcm"}:
            raise TooLarge(
                f"the text has {len(text):,} characters, one request may have {most:,}, and {format} cannot be joined: "
                "ask for mp3, wav or pcm, or speak it in parts"
            )
        calls: list[Called[SpeechRequest, Spoken]] = []
        sounds: list[tuple[bytes, str]] = []
        notes: list[str] = []
        spoken = len(text)
        for one in requests:  # one after the other: whoever listens wants the first first
            through = _Through(on_sound) if on_sound is not None and len(requests) == 1 else None
            try:
                called = await service.llm.call(
                    SPEECH, one, this.plan, this.part(), on_data=None if through is None else through.begin
                )
                calls.append(called)
                this.plan.targets = [called.begun.target]
                try:
                    sounds.append(playable(called.given, format))
                except Garbled as exc:
                    raise blame(exc, called.begun.target) from None
            except Error as exc:
                if not sounds:
                    raise
                spoken = sum(len(done.text) for done in requests[: len(sounds)])
                notes.append(
                    f"only the first {len(sounds)} of {len(requests)} pieces are spoken, {spoken:,} of {len(text):,} "
                    f"characters: the next failed with: {exc}"
                )
                break  # what is spoken is paid for
            this.progress.tell(f"{sum(len(done.begun.request.text) for done in calls):,} of {len(text):,} characters")
            if on_sound is not None and not (through is not None and through.open):
                await on_sound(sounds[-1][0])
        try:
            whole = [await anyio.to_thread.run_sync(_joined, sounds)]
        except Garbled as exc:
            whole = sounds
            notes.append(f"{exc}; each piece is a file of its own")
        seconds = sound.duration(whole[0][0]) if len(whole) == 1 else None
        made = Said(
            response=f"spoken: {spoken:,} characters" + (f", {seconds:.1f} s" if seconds is not None else ""),
            duration=None if seconds is None else round(seconds, 3),
            voice=voice,
            files=tuple([await this.file(data, mime, _name(text, mime)) for data, mime in whole]),
            **this.fields(calls, *notes),
        )
        this.finish(made)
        return made


class _Through:
    """Hands a reply's bytes on as they come, where they are sound as they are: told by the first of them."""

    def __init__(self, on_sound: Callable[[bytes], Awaitable[None]]) -> None:
        self.open: bool | None = None
        self._on_sound = on_sound

    def begin(self) -> Taker:
        """For another attempt."""
        self.open = None
        return self.take

    async def take(self, data: bytes) -> bool:
        """What arrived; whether it was handed on."""
        if self.open is None and data:
            self.open = (sniff.media(data[:64]) or "").startswith("audio/")
        if self.open:
            await self._on_sound(data)
        return bool(self.open)


def pieces(text: str, most: int) -> list[str]:
    """The text in pieces of at most so many characters, cut between sentences, else between words."""
    if len(text) <= most:
        return [text]
    found, piece = [], ""
    for sentence in _SENTENCE.split(text):
        rest = sentence.strip()
        while rest:
            room = most - len(piece) - (1 if piece else 0)
            if len(rest) <= room:
                piece, rest = f"{piece} {rest}" if piece else rest, ""
            elif piece:
                found.append(piece)
                piece = ""
            else:
                cut = rest.rfind(" ", 0, most + 1)
                cut = cut if cut > 0 else most
                found.append(rest[:cut])
                rest = rest[cut:].lstrip()
    return [*found, piece] if piece else found


def playable(spoken: Spoken, wanted: Sound | None) -> tuple[bytes, str]:
    """(bytes, MIME type) of a reply: samples get a header unless `pcm` was asked for. Raises Garbled for no sound."""
    data = spoken.data
    if spoken.rate is not None:
        return (
            (data, f"audio/l16;rate={spoken.rate}") if wanted == "pcm" else (sound.wav(data, spoken.rate), "audio/wav")
        )
    found = sniff.media(data[:64], "audio/ogg" if spoken.mime == "audio/ogg" else None)
    if found is not None and found.startswith("audio/"):
        return data, found
    raise Garbled(f"what came is no sound but {sniff.what(data)}")


def _joined(sounds: list[tuple[bytes, str]]) -> tuple[bytes, str]:
    if len(sounds) == 1:
        return sounds[0]
    mime = sounds[0][1]
    if {kind for _, kind in sounds} == {"audio/wav"}:
        return sound.joined([data for data, _ in sounds]), mime
    if mime.startswith("audio/l16") or {kind for _, kind in sounds} == {"audio/mpeg"}:
        return b"".join(data for data, _ in sounds), mime
    raise Garbled(f"pieces of {mime} came, which cannot be joined: ask for mp3 or wav")


def _name(text: str, mime: str) -> str:
    words = "-".join("".join(char if char.isalnum() else " " for char in text[:200]).split()[:5]).lower()[:48]
    kinds = {"audio/mpeg": "mp3", "audio/ogg": "ogg", "audio/l16": "pcm"}
    return f"{words or 'speech'}.{kinds.get(mime.partition(';')[0], mime.partition('/')[2])}"
