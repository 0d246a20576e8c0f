"""What bytes are, told by their first ones and never by a file's name; pure.

Nothing is decoded: a picture of a billion pixels is as cheap as its header.
"""

from __future__ import annotations

import codecs

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3\x02", "audio/mpeg"),
    (b"ID3\x03", "audio/mpeg"),
    (b"ID3\x04", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
    b"qt  ": "video/quicktime",
}
_TWINS = {("audio/ogg", "video/ogg"), ("video/webm", "audio/webm"), ("video/mp4", "audio/mp4")}
"""Containers that hold sound or pictures: (what we see, what the caller may know better)."""

_FIXES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive or office document: export it as PDF or text"),
    (b"\xd0\xcf\x11\xe0", "an old office document: export it as PDF or text"),
    (b"BM", "a BMP picture: convert it to PNG"),
    (b"II*\0", "a TIFF picture: convert it to PNG"),
    (b"MM\0*", "a TIFF picture: convert it to PNG"),
    (b"\x1f\x8b", "gzip data: unpack it"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3\0", "a database: export what is needed as text"),
)
_BOMS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b")) + b"\x7f"

EXTENSIONS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "avif": "image/avif",
    "pdf": "application/pdf",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "opus": "audio/ogg",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "webm": "video/webm",
    "weba": "audio/webm",
    "mov": "video/quicktime",
}
"""What a name promises; used for URLs, which nobody here looks into, and to notice a promise that is not kept."""


def media(head: bytes, hint: str | None = None) -> str | None:
    """The MIME type of a known kind of media; `hint` settles whether a container is sound or film."""
    found = _media(head)
    return hint if found is not None and hint is not None and (found, hint) in _TWINS else found


def _media(head: bytes) -> str | None:
    for magic, mime in _MAGIC:
        if head.startswith(magic):
            return mime
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    # An MPEG audio frame: eleven set bits, a layer, a bit rate and a sample rate that exist.
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        layer, rate, sampling = head[1] & 0x06, head[2] >> 4, head[2] >> 2 & 0x03
        if layer == 0x02 and head[1] & 0x18 != 0x08 and rate not in {0, 15} and sampling != 3:
            return "audio/mpeg"
    return "audio/aac" if _is_adts(head) else None


def _is_adts(head: bytes) -> bool:
    """An AAC frame as ISO 13818-7 heads it: layer 0, a sample rate that exists, its own length; then the next frame."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 0x0F > 12:
        return False
    length = (head[3] & 0x03) << 11 | head[4] << 3 | head[5] >> 5
    following = head[length : length + 2]
    return length > 7 and (len(following) < 2 or (following[0] == 0xFF and following[1] & 0xF6 == 0xF0))


def text(data: bytes) -> str | None:
    """The words: by a byte order mark, as UTF-8, or as Latin text (cp1252); None for anything that is not text."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            try:
                return data.decode(encoding).removeprefix("\ufeff")
            except UnicodeDecodeError:
                return None
    if data.translate(None, _CONTROL) != data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    # One accented letter among plain ones is Latin text; mostly high bytes are not.
    high = len(data.translate(None, bytes(range(128))))
    if high * 3 > len(data):
        return None
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return None


def what(data: bytes) -> str:
    """What unreadable bytes seem to be, and what to do about it."""
    return next((fix for magic, fix in _FIXES if data.startswith(magic)), "binary data of an unknown kind")
