"""Forms as bytes: what a caller says of a file never becomes a field of its own."""

from __future__ import annotations

import pytest

from mcp_llm.http.multipart import encode
from mcp_llm.wires.base import Field


def test_a_form_is_its_fields_in_order() -> None:
    body, kind = encode([Field("model", "m"), Field("file", b"\x00\xff", filename='a"b.wav', mime="audio/wav")])
    mark = kind.removeprefix("multipart/form-data; boundary=").encode()
    assert body == (
        b'--%b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
        b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a%%22b.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\n\x00\xff\r\n--%b--\r\n"
    ) % (mark, mark, mark)


@pytest.mark.parametrize("place", ["name", "filename", "mime"])
def test_no_word_of_a_callers_ends_its_field(place: str) -> None:
    """The boundary is made of the contents alone, so whoever sends them can name it."""
    contents = [Field("model", "cheap"), Field("file", b"sound", filename="a.wav", mime="audio/wav")]
    mark = encode(contents)[1].partition("boundary=")[2]
    forged = f'x\r\n\r\n\r\n--{mark}\r\nContent-Disposition: form-data; name="model"\r\n\r\ndear'
    setattr(contents[1], place, forged)
    body, kind = encode(contents)
    assert kind.endswith(mark)
    assert body.count(b"\r\n--" + mark.encode()) == len(contents)


@pytest.mark.parametrize("mime", [None, "", "audio/\nwav", "audio/wav\x85", "audio/wav\u2028"])
def test_a_type_that_is_none_is_just_bytes(mime: str | None) -> None:
    body, _ = encode([Field("file", b"", filename="a", mime=mime)])
    assert b'; filename="a"\r\nContent-Type: application/octet-stream\r\n\r\n' in body
