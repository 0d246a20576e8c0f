"""Files that others have written: recordings of runs, batches, sounds and pictures, vendors' results; handles."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Final

from mcp_llm.batch import items
from mcp_llm.errors import Error, InvalidInput
from mcp_llm.files import sniff, sound
from mcp_llm.http import multipart
from mcp_llm.runs import recording, texts
from mcp_llm.types.events import encode
from mcp_llm.wires import batch, models
from mcp_llm.wires.base import Field, HttpReply
from mcp_llm.wires.batch.contract import State
from mcp_llm.wires.reply import parse
from mcp_llm.wires.whole import decoded

from .picks import Picks
from .target import Target, is_strict_json

if TYPE_CHECKING:
    from collections.abc import Iterator


def recorded(data: bytes) -> None:
    """A run that can be written again as it was read, or InvalidInput naming the line."""
    try:
        one = recording.parse(data)
    except InvalidInput as error:
        str(error).encode("utf-8", "backslashreplace")
        return
    for run in one.all():
        for event in run.events:
            encode(event).encode()
        is_strict_json([run.header.request, run.header.result, run.texts])
    if one.events:
        assert list(recording.lines(one, str))


def ordered(data: bytes) -> None:
    """The items of a batch, each with an id, or InvalidInput naming the line."""
    mark, body = (data[0] if data else 0), data[1:]
    template = (None, "Sum up {{content}}", "{{a}} {{b}}", "none")[mark % 4]
    try:
        found = list(items.from_lines(body.split(b"\n"), template, plain=bool(mark & 4)))
        items.checked(found)
    except InvalidInput as error:
        str(error).encode("utf-8", "backslashreplace")
        return
    for item in found:
        assert 0 < len(item.id) <= items.MAX_ID
        assert item.arguments.get("prompt") or item.arguments.get("messages")


def resulted(data: bytes) -> None:
    """What a vendor says of a batch and gives as its results: in order, or Garbled."""
    wire = batch.wire(batch.WIRES[data[0] % len(batch.WIRES)] if data else "openai")
    reply = HttpReply(200, {}, data[1:])
    for read in (lambda: wire.state(reply), lambda: list(wire.results(reply))):
        try:
            made = decoded(read)
        except Error:
            continue
        if isinstance(made, State):
            assert wire.reading(made, wire.Quirks()) is not None


def listed(data: bytes) -> None:
    """A vendor's list of models: models and the next page's cursor, which can be asked for, or Garbled."""
    name = models.WIRES[data[0] % len(models.WIRES)] if data else "openai"
    wire = models.wire(name)
    try:
        value = parse(data[1:])
        _, cursor = decoded(lambda: wire.decode(value))
        decoded(lambda: wire.encode(cursor, wire.Quirks()))
    except (ValueError, RecursionError, Error):
        return


def sniffed(data: bytes) -> None:
    """What bytes are: a kind, words, or a sentence about neither; a sound's length where it has one."""
    kind = sniff.media(data, "video/ogg")
    words = sniff.text(data)
    assert kind is None or "/" in kind
    assert words is None or isinstance(words.encode("utf-8", "surrogatepass"), bytes)
    assert sniff.what(data)
    seconds = sound.duration(data)
    assert seconds is None or 0 <= seconds <= max(len(data), 1)
    with suppress(InvalidInput):
        assert all(piece[:4] == b"RIFF" for _, piece in sound.pieces(data, 4096))
    with suppress(InvalidInput):
        assert sound.joined([data, data])[:4] == b"RIFF"


def formed(data: bytes) -> None:
    """A form holds its fields and no others, whatever stands in their names and values."""
    picks = Picks(data)
    fields = []
    for _ in range(picks.byte() % 4):
        name, file = picks.text(), picks.text() if picks.byte() % 2 else None
        value = picks.rest() if picks.byte() % 4 == 0 else picks.text()
        fields.append(Field(name, value, filename=file, mime=picks.text()))
    try:
        body, kind = multipart.encode(fields)
    except Error:
        return
    boundary = kind.partition("boundary=")[2].encode()
    assert body.count(b"--" + boundary) == len(fields) + 1
    for head in (part.partition(b"\r\n\r\n")[0] for part in body.split(b"--" + boundary)[1:-1]):
        assert head.count(b"\r\n") <= 3


@cache
def _texts() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE runs (id TEXT, principal TEXT)")
    connection.execute("CREATE TABLE run_texts (run TEXT, id TEXT, created INTEGER, body TEXT, PRIMARY KEY (run, id))")
    connection.execute("INSERT INTO runs VALUES ('r', 'p')")
    return connection


def handled(data: bytes) -> None:
    """A handle is one that was given or leads nowhere; a kept text is read back whole, page by page."""
    text = data.decode("utf-8", "replace")
    connection = _texts()
    assert texts.read(connection, f"x{text}", "p", 0, 10) is None
    handle = texts.keep(connection, "r", text, text)
    assert "".join(_paged(connection, handle)) == text.replace("\0", "\ufffd")
    assert texts.read(connection, handle, "somebody", 0, 10) is None


def _paged(connection: sqlite3.Connection, handle: str) -> Iterator[str]:
    offset = 0
    while (page := texts.read(connection, handle, "p", offset, 64)) is not None:
        yield page.text
        if not page.more:
            return
        offset = page.end


_HEADER: Final = {"recording": "mcp-llm", "version": 1, "id": "r1", "kind": "agent", "status": "finished", "created": 1}
_RUN: Final = b"\n".join(
    json.dumps(line).encode()
    for line in (
        {**_HEADER, "updated": 2, "events": 2, "texts": 1, "result": {"response": "x"}},
        {"event": "start", "seq": 0, "run_id": "r1", "ts": 1, "prompt": "hi"},
        {"event": "finish", "seq": 1, "run_id": "r1", "ts": 2, "result": "x"},
        {"text": "a", "body": "long"},
    )
)
_WORDS: Final = (
    b'{"',
    b'":',
    b"\n",
    b'"event":',
    b'"seq":',
    b'"ts":',
    b"null",
    b"1e999",
    b'"\\ud800"',
    b"9" * 40,
    b"[[",
    b"-1",
    b"{{a}}",
)
_WAV: Final = sound.wav(bytes(200), 8000)

TARGETS: Final = (
    Target(
        "recording",
        recorded,
        (_RUN, _RUN.replace(b"r1", b"r2")),
        (*_WORDS, b'"tool_start"', b'"parent":', b'"recording"'),
        ((_RUN + b"\n", b'{"text":"b","body":"c"}\n', b""), (b"", b"[", b""), (b"", b"\n", b""), (b"", b'{"a":', b"")),
    ),
    Target(
        "batch",
        ordered,
        (b'\0{"id":"a","prompt":"x"}\n"y"\n', b'\2{"a":1,"b":[2]}\n', b"\4plain\nlines\n", b'\1\xef\xbb\xbf"z"'),
        (*_WORDS, b'"prompt":', b'"messages":', b'"custom_id":', b'"modle":'),
        ((b"\0", b'"y"\n', b""), (b"\4", b"x\n", b""), (b"\0", b"[", b""), (b'\0{"prompt":"x","', b"mode", b'":1}')),
    ),
    Target(
        "batch-results",
        resulted,
        (
            b'\3{"id":"b","status":"completed","request_counts":{"completed":1,"failed":0,"total":2},"output_file_id":"f"}',
            b'\3{"custom_id":"i0","response":{"status_code":200,"body":{}},"error":null}\n',
            b'\0{"id":"b","processing_status":"ended","request_counts":{"succeeded":1},"results_url":"https://x/y"}',
            b'\0{"custom_id":"i0","result":{"type":"succeeded","message":{}}}\n',
            b'\1{"name":"batches/b","metadata":{"state":"BATCH_STATE_SUCCEEDED"},"response":{"inlinedResponses":{}}}',
            b'\2{"id":"b","status":"SUCCESS","output_file":"f"}',
        ),
        (*_WORDS, b'"error"', b'"response"', b'"status"', b'"custom_id"', b'"metadata"'),
    ),
    Target(
        "models",
        listed,
        tuple(
            bytes([number]) + sample
            for number in range(len(models.WIRES))
            for sample in (
                b'{"data":[{"id":"m","context_length":10,"pricing":{"prompt":"0.1"}}],"has_more":true,"last_id":"m"}',
                b'{"models":[{"name":"models/m","inputTokenLimit":10}],"nextPageToken":"x"}',
            )
        ),
        (*_WORDS, b'"data"', b'"id"', b'"models"', b'"pricing"', b'"next"', b'"?a=b"'),
    ),
    Target(
        "sniff",
        sniffed,
        (
            _WAV,
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xfb\x90d",
            b"\0\0\0\x18ftypM4A ",
            b"\xff\xfea\0",
            b"caf\xe9",
            b"OggS",
            b"RIFF\0\0\0\0WEBP",
        ),
        (b"RIFF", b"WAVE", b"fmt ", b"data", b"\xff\xff\xff\xff", b"\0\0", b"ftyp", b"ID3\3", b"\x10\0", b"\1\0"),
        ((b"", b"\xe9", b""), (b"", b"a", b""), (_WAV, b"\0", b""), (b"RIFF\0\0\0\0WAVE", b"LIST\0\0\0\0", b"")),
    ),
    Target(
        "form", formed, (bytes([3, 1, 2, 3, 4]) * 9, bytes([2, 220, 13, 10, 34]) * 9), (b"\r\n", b'"', b"--", b"\0")
    ),
    Target("handle", handled, (b"r.text", b"'; --", b"\0\0a", b"\xe2\x80\xae" * 9), (b".", b"\0", b"'", b"-")),
)
