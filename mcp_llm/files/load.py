"""Attachments: a path, URL, data URI, bytes or picture object becomes a part a model can read.

URLs are handed to the provider and never fetched here; paths are read beneath the allowed roots only (`beneath.py`);
what a file is, its bytes decide (`sniff.py`). Nothing is decoded, converted or cached.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import ipaddress
import json
import os
import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import anyio.to_thread

from mcp_llm.catalog.address import OWN_NAMES, is_public
from mcp_llm.errors import Denied, Error, InvalidInput, TooLarge, Unsupported
from mcp_llm.types.message import Media, Text

from . import beneath, sniff

if TYPE_CHECKING:
    from collections.abc import Sequence


Source: TypeAlias = "str | bytes | os.PathLike[str] | Any"
"""Text is a path or a URL (http, https, file, data); an object with `save` is taken for a PIL image."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps per call: `bytes` of one file, `total` bytes and number of `files` together."""

    bytes: int = 20 * 1024 * 1024
    files: int = 32
    total: int = 64 * 1024 * 1024


@dataclass(slots=True)
class Loaded:
    """The parts in the order asked, and what the caller should be told about them."""

    parts: list[Text | Media] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


async def load(
    source: Source,
    *,
    roots: Sequence[str | os.PathLike[str]],
    limits: Limits = Limits(),
    name: str | None = None,
    mime: str | None = None,
) -> Text | Media:
    """One attachment. Text comes fenced with its name, anything else as Media with base64 data or a URL.

    `mime` is needed only for what cannot be recognised. Raises Denied (outside `roots`, secrets, private URLs),
    TooLarge, InvalidInput (missing, unreadable, binary of an unknown kind), Unsupported (a "png" that is none).
    """
    if isinstance(source, str) and source[:5].lower() == "data:":
        return await anyio.to_thread.run_sync(_from_data_uri, source, limits, name, mime)
    if isinstance(source, str) and source[:7].lower().startswith(("http://", "https:/")):
        return from_url(source, name, mime)
    if isinstance(source, bytes | bytearray | memoryview):
        return await anyio.to_thread.run_sync(_from_bytes, bytes(source), limits, name, mime)
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if not isinstance(path, str):
            raise InvalidInput("A path of bytes cannot be used: pass it as text.")
        if isinstance(source, str):
            path = _plain_path(path)
        return await anyio.to_thread.run_sync(_from_path, path, [os.fspath(root) for root in roots], limits, name, mime)
    if callable(getattr(source, "save", None)):
        return await anyio.to_thread.run_sync(_from_image, source, limits, name)
    raise InvalidInput(f"A {type(source).__name__} cannot be attached: pass a path, a URL, a data URI or bytes.")


async def load_all(
    sources: Sequence[Source], *, roots: Sequence[str | os.PathLike[str]], limits: Limits = Limits()
) -> Loaded:
    """All attachments in order; the first that cannot be used is an error that says which (1 is the first)."""
    if len(sources) > limits.files:
        raise TooLarge(f"{len(sources)} files are attached; at most {limits.files} are taken: pass fewer.")
    loaded, total = Loaded(), 0
    for number, source in enumerate(sources, 1):
        try:
            part = await load(source, roots=roots, limits=limits)
        except Error as error:
            raise type(error)(f"Attachment {number}: {error}") from None
        total += len(part.text) if isinstance(part, Text) else len(part.data or "") * 3 // 4
        if total > limits.total:
            raise TooLarge(f"The attachments have more than {limits.total} bytes together: pass fewer or smaller ones.")
        if isinstance(part, Media) and part.mime == "image/*":
            loaded.warnings.append(f"Attachment {number}: the URL does not say what it is; it was sent as an image.")
        loaded.parts.append(part)
    return loaded


def fence(name: str, text: str) -> Text:
    """A text file as a part: its end mark holds a tag that the text does not contain, so no text can end it early."""
    tag = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    while tag in text:
        tag = hashlib.sha256(tag.encode()).hexdigest()[:8]
    shown = json.dumps(re.sub(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", "", name)[:120])
    return Text(f"[file {shown} {tag}]\n{text}\n[end of file {tag}]")


def _plain_path(path: str) -> str:
    found = _SCHEME.match(path)
    if found is None:
        return path
    if found[1].lower() != "file":
        raise Denied(f"{found[1][:20]} URLs are not read: pass a path, or an http or https URL.")
    try:
        url = urlsplit(path)
    except ValueError:
        raise InvalidInput("The file URL cannot be read: write it as file:///folder/name.") from None
    if url.netloc.lower() not in {"", "localhost"} or url.query or url.fragment:
        raise Denied("A file URL has to be of this machine and without a query: file:///folder/name.")
    plain = unquote(url.path)
    # file:///C:/x is C:/x there.
    return plain[1:] if os.name == "nt" and re.match(r"/[A-Za-z]:", plain) else plain


def _from_path(path: str, roots: list[str], limits: Limits, name: str | None, mime: str | None) -> Text | Media:
    data, found = beneath.read(path, roots, limits.bytes)
    return _part(data, name or found, mime)


def _from_bytes(data: bytes, limits: Limits, name: str | None, mime: str | None) -> Text | Media:
    if len(data) > limits.bytes:
        raise TooLarge(f"The attachment has {len(data)} bytes; at most {limits.bytes} are taken.")
    return _part(data, name, mime)


def _from_image(image: Any, limits: Limits, name: str | None) -> Text | Media:
    written = io.BytesIO()
    try:
        image.save(written, format="PNG")
    except Exception as error:
        raise InvalidInput(
            f"The picture cannot be saved as PNG ({type(error).__name__}): pass a path or bytes."
        ) from None
    return _from_bytes(written.getvalue(), limits, name, "image/png")


def _from_data_uri(uri: str, limits: Limits, name: str | None, mime: str | None) -> Text | Media:
    head, comma, body = uri[5:].partition(",")
    if not comma:
        raise InvalidInput("The data URI has no comma: write data:image/png;base64,....")
    declared, *options = [piece.strip() for piece in head.split(";")]
    encoded = any(option.lower() == "base64" for option in options)
    if len(body) > limits.bytes * (4 / 3 if encoded else 3) + 4:
        raise TooLarge(f"The data URI holds more than {limits.bytes} bytes: pass a smaller one.")
    try:
        data = _from_base64(unquote(body)) if encoded else unquote_to_bytes(body)
    except (binascii.Error, ValueError):
        raise InvalidInput("The data URI is not valid base64: encode the bytes again.") from None
    if encoded and not data:
        raise InvalidInput("The data URI is empty.")
    charset = next((option[8:].strip("\"'") for option in options if option[:8].lower() == "charset="), "")
    if charset and declared[:5].lower() in {"", "text/"}:
        data = _in_utf8(data, charset)
    return _from_bytes(data, limits, name, mime or declared.lower() or None)


def _from_base64(text: str) -> bytes:
    """As browsers read it: blanks are nothing, and the padding may be left out (WHATWG Infra, forgiving-base64)."""
    text = "".join(text.split())
    return base64.b64decode(text if text.endswith("=") else text + "=" * (-len(text) % 4), validate=True)


def _in_utf8(data: bytes, charset: str) -> bytes:
    """Text in the charset that a data URI declares; as it is where that is unknown or wrong."""
    try:
        return data.decode(charset).encode()
    except (LookupError, ValueError):
        return data


def _part(data: bytes, name: str | None, mime: str | None) -> Text | Media:
    promised = mime or (sniff.EXTENSIONS.get(name.rpartition(".")[2].lower()) if name and "." in name else None)
    found = sniff.media(data[:64], promised)
    if found is not None:
        return Media(found, base64.b64encode(data).decode("ascii"), name=name)
    text = sniff.text(data)
    is_media = promised is not None and (promised == "application/pdf" or promised.split("/")[0] in _MEDIA)
    if text is not None:
        if is_media:
            raise Unsupported(
                f"The content is not what its name or type says ({promised}): it is text. Pass the real file."
            )
        return fence(name or "attachment", text)
    if mime is not None and is_media:  # a kind of media that we do not know, but the caller does
        return Media(mime, base64.b64encode(data).decode("ascii"), name=name)
    raise InvalidInput(f"The attachment is {sniff.what(data)}. Text, pictures, PDF, sound and film can be attached.")


_MEDIA = frozenset({"image", "audio", "video"})


def from_url(url: str, name: str | None, mime: str | None) -> Media:
    """The URL as a part, for the provider to fetch. Raises InvalidInput for what is none, Denied for a private one."""
    if any(ord(letter) < 33 or ord(letter) == 127 for letter in url) or "\\" in url:
        raise InvalidInput("The URL holds spaces, control characters or backslashes: percent-encode them.")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        # To others a circled or wide 1 is a 1, and a soft hyphen nothing: judged is what they ask for.
        host = host if host.isascii() else host.encode("idna").decode()
        _ = parts.port
    except ValueError:
        raise InvalidInput("The URL cannot be read: check it.") from None
    if "@" in parts.netloc:
        raise Denied("A URL with a user name or password in it is not passed on: leave them out.")
    if not _is_public(host):
        raise Denied(
            "The URL is not of a public server, so a provider must not be sent there: attach the file instead."
        )
    guessed = mime or sniff.EXTENSIONS.get(parts.path.rpartition("/")[2].rpartition(".")[2].lower())
    return Media(guessed or "image/*", url=url, name=name)


def _is_public(host: str) -> bool:
    """By its letters alone: no name is looked up here, the provider does the fetching."""
    bare = host.rstrip(".").partition("%")[0]
    address = _address(bare)
    if address is not None:
        return is_public(address)
    labels = bare.lower().split(".")
    return len(labels) > 1 and all(labels) and labels[-1] not in OWN_NAMES


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    # 2130706433, 0x7f.1 and 0177.0.0.1 are addresses to every resolver.
    if re.fullmatch(r"(0[xX][0-9a-fA-F]*|\d+)(\.(0[xX][0-9a-fA-F]*|\d+)){0,3}", host):
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return ipaddress.IPv4Address(0)
    return None
