"""Images and speech in a Chat Completions reply, which carries them beside the text or as pieces of it."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any, Final

from mcp_llm.types.message import Media

_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]*;base64,")
_IMAGE_TYPES: Final = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "gif": "gif"}
_SPEECH_TYPES: Final = {"UklGR": "wav", "SUQz": "mpeg", "//": "mpeg", "ZkxhQ": "flac", "T2dnU": "ogg"}
"""How base64 of a file of that type begins."""


def picture(piece: dict[str, Any]) -> Media:
    """A generated image: `{image_url: {url}}`, a data URL mostly."""
    source = piece.get("image_url") or piece.get("url") or ""
    url = source if isinstance(source, str) else source["url"]
    if (head := _DATA_URL.match(url)) is not None:
        return Media(head[1] or "image/png", data=url[head.end() :])
    if not url and (data := piece.get("b64_json")):
        return Media("image/png", data=data)
    ending = url.partition("?")[0].rpartition(".")[2].lower()
    return Media(f"image/{_IMAGE_TYPES.get(ending, 'png')}", url=url)


@dataclass(slots=True)
class Speech:
    """Adds up `audio`; pieces of a stream are each base64 of their own, and raw 16-bit PCM at 24 kHz."""

    pieces: list[str] = field(default_factory=list)
    id: str | None = None
    whole: bool = False

    def add(self, audio: dict[str, Any], *, whole: bool) -> None:
        """The next piece."""
        self.id = self.id or audio.get("id")
        self.whole = whole
        if audio.get("data"):
            self.pieces.append(audio["data"])

    def media(self) -> Media | None:
        """All of it; its `echo` names it, which is all that has to go back."""
        if not self.pieces:
            return None
        echo = {"audio": {"id": self.id}} if self.id else None
        if not self.whole:
            data = b64encode(b"".join(map(b64decode, self.pieces))).decode()
            return Media("audio/L16;rate=24000", data=data, echo=echo)
        data = "".join(self.pieces)
        kind = next((kind for head, kind in _SPEECH_TYPES.items() if data.startswith(head)), "wav")
        return Media(f"audio/{kind}", data=data, echo=echo)
