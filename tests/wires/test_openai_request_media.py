"""Requests of the Chat Completions dialect: media, as each vendor reads them."""

from __future__ import annotations

from typing import Any

import pytest
from wires.requested import PNG, said

from mcp_llm.errors import Unsupported
from mcp_llm.types.message import Media, Thinking, user

# Media


@pytest.mark.parametrize(
    ("media", "quirks", "piece"),
    [
        (PNG, {}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}),
        (
            Media("image/png", url="https://e.example/a"),
            {},
            {"type": "image_url", "image_url": {"url": "https://e.example/a"}},
        ),
        (
            Media("application/pdf", data="aGk=", name="a.pdf"),
            {},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        ),
        (
            Media("application/pdf", url="https://e.example/a"),
            {"remote_files": True},
            {"type": "file", "file": {"filename": "document.pdf", "file_data": "https://e.example/a"}},
        ),
        (
            Media("application/pdf", url="https://e.example/a", name="a.pdf"),
            {"files": "document_url"},
            {"type": "document_url", "document_url": "https://e.example/a", "document_name": "a.pdf"},
        ),
        (
            Media("audio/mpeg", data="aGk="),
            {},
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        ),
        (
            Media("audio/x-wav; codecs=1", data="aGk="),
            {},
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        ),
        (
            Media("audio/flac", data="aGk="),
            {"audio_formats": ()},
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "flac"}},
        ),
        (
            Media("audio/flac", url="https://e.example/a"),
            {"audio": "string"},
            {"type": "input_audio", "input_audio": "https://e.example/a"},
        ),
        (
            Media("video/mp4", data="aGk="),
            {"video": True},
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,aGk="}},
        ),
    ],
)
def test_media_are_spelled_as_the_vendor_reads_them(
    media: Media, quirks: dict[str, Any], piece: dict[str, Any]
) -> None:
    assert said(user("See:", media), quirks=quirks) == [
        {"role": "user", "content": [{"type": "text", "text": "See:"}, piece]}
    ]


@pytest.mark.parametrize(
    ("media", "quirks"),
    [
        (Media("image/png", url="https://e.example/a"), {"remote_images": False}),
        (Media("application/pdf", url="https://e.example/a"), {}),
        (Media("application/pdf", data="aGk="), {"files": "none"}),
        (Media("audio/wav", data="aGk="), {"audio": "none"}),
        (Media("audio/flac", data="aGk="), {}),
        (Media("audio/wav", url="https://e.example/a"), {}),
        (Media("video/mp4", data="aGk="), {}),
        (Media("image/png"), {}),
        (Thinking("Hm."), {}),
    ],
)
def test_what_the_vendor_cannot_read_is_refused(media: Any, quirks: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        said(user(media), quirks=quirks)
