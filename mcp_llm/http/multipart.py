"""A form with files as bytes (RFC 7578), names escaped as the HTML standard says. No streaming: files are in memory.

Whatever a caller calls a file or its type, it stays one field: the boundary can be reckoned by whoever knows the rest.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.wires.base import Field

_ESCAPES = {34: "%22", 13: "%0D", 10: "%0A"}


def encode(fields: Sequence[Field]) -> tuple[bytes, str]:
    """(body, content type). The boundary is made of the contents, so that the same form is the same bytes."""
    values = [field.value if isinstance(field.value, bytes) else _utf8(field.value) for field in fields]
    digest = hashlib.sha256()
    for value in values:
        digest.update(value)
    boundary = f"mcp-llm-{digest.hexdigest()[:32]}"
    while any(boundary.encode() in value for value in values):
        boundary = f"mcp-llm-{hashlib.sha256(boundary.encode()).hexdigest()[:32]}"
    pieces: list[bytes] = []
    for field, value in zip(fields, values, strict=True):
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_escaped(field.name)}"'
        if field.filename is not None:
            mime = field.mime if field.mime and field.mime.isprintable() else "application/octet-stream"
            head += f'; filename="{_escaped(field.filename)}"\r\nContent-Type: {mime}'
        pieces += (_utf8(f"{head}\r\n\r\n"), value, b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f"multipart/form-data; boundary={boundary}"


def _escaped(name: str) -> str:
    return name.translate(_ESCAPES)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")
