"""JSON Schemas that callers and peers bring, and answers to them: checked, transformed, validated against."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Error, InvalidInput, Unsupported
from mcp_llm.llm import structured
from mcp_llm.schemas import patterns
from mcp_llm.schemas.usable import check_schema
from mcp_llm.schemas.validator import validate
from mcp_llm.wires import schema as transforms

from .picks import Picks
from .target import Target, is_strict_json

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSFORMS: Final[tuple[Callable[[dict[str, Any]], Any], ...]] = (
    transforms.inline_refs,
    transforms.to_strict,
    lambda schema: transforms.to_strict(schema, nulls=False),
    transforms.to_closed,
    transforms.to_plain,
)


def given(data: bytes) -> Any:
    """The schema that the bytes are, or what they choose."""
    if data[:1] == b"{":
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            return None
    return Picks(data).schema()


def scrubbed(data: bytes) -> None:
    """Every transform gives what JSON can say and leaves its input as it was, or says why there is none."""
    schema = given(data)
    if not isinstance(schema, dict):
        return
    before = json.dumps(schema)
    try:
        check_schema(schema)
    except InvalidInput:
        usable = False
    else:
        usable = is_utf8(schema)
    for transform in TRANSFORMS:
        try:
            made = transform(schema)
        except (InvalidInput, Unsupported):
            continue
        if made is not None:
            assert json.dumps(made) != ""
            assert not usable or is_strict_json(made)
    assert json.dumps(schema) == before


def scrub(data: bytes) -> None:
    """What a caller's schema costs on its way to a vendor that enforces it."""
    schema = given(data)
    if isinstance(schema, dict):
        with suppress(InvalidInput, Unsupported):
            check_schema(schema)
            transforms.to_strict(schema)
            transforms.to_plain(schema)


def is_utf8(value: object) -> bool:
    """Whether it holds no half characters."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def fitted(data: bytes) -> None:
    """A value is checked against a usable schema in bounded time; nulls are pruned without failing."""
    picks = Picks(data)
    value = picks.value()
    schema = given(picks.rest())
    try:
        check_schema(schema)
    except InvalidInput as error:
        str(error).encode("utf-8", "backslashreplace")
        return
    warnings: list[str] = []
    errors = validate(value, schema, warnings)
    assert len(errors) <= 20
    assert all(len(one) < 2000 for one in [*errors, *warnings])
    if isinstance(schema, dict):
        try:
            transforms.without_nulls(value, schema)
        except InvalidInput:
            return


def patterned(data: bytes) -> None:
    """A pattern is run or refused; what is run gives what `re` gives."""
    pattern, _, text = data.decode("utf-8", "replace").partition("\n")
    assert patterns.matches(pattern, text) in {None, True, False}


def repaired(data: bytes) -> None:
    """A model's answer holds JSON that can be written again, or does not; what is JSON already stays what it is."""
    text = data.decode("utf-8", "surrogatepass" if data.isascii() else "replace")
    value: Any = None
    with suppress(Error):
        value = structured.parse(text)
    assert is_strict_json(value)
    try:
        whole = structured.strict(text)
    except ValueError:
        return
    assert is_strict_json(whole)
    assert whole == value


_SAMPLES: Final = (
    (
        b'{"type":"object","properties":{"a":{"$ref":"#/$defs/x"},"b":{"type":["string","null"],"enum":["y",null]}},'
        b'"required":["a"],"$defs":{"x":{"allOf":[{"type":"integer","minimum":1},{"maximum":9}]}}}'
    ),
    b'{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}}}}}',
    b'{"type":"array","items":{"oneOf":[{"const":1},{"type":"string","pattern":"^a+$","format":"uuid"}]},"uniqueItems":true}',
    bytes(range(40, 200)),
    bytes(range(255, 60, -1)),
)
_WORDS: Final = (
    *(
        b'"$ref":"#/$defs/',
        b'"$defs":{',
        b'"allOf":[',
        b'"anyOf":[{',
        b'"properties":{',
        b'"type":"object"',
        b'"items":',
    ),
    *(
        b'"const":null',
        b'"enum":[',
        b'"not":{',
        b'"additionalProperties":false',
        b'"required":["a"]',
        b'"nullable":true',
    ),
    *(b"~1", b"%25", b"1e999", b'"\\ud800"', b"9" * 30),
)
_GROWS: Final = (
    *(
        (b'{"type":"object","properties":{"":{}', one, b"}}")
        for one in (b',"p%d":{"$ref":"#"}', b',"p%d":{"type":"string"}')
    ),
    (b'{"type":"object","properties":{"":{}', b',"p%d":{"allOf":[{"type":"string"},{"title":"x"}]}', b"}}"),
    (b'{"type":"object","allOf":[{}', b',{"properties":{"p%d":{}}}', b"]}"),
    (b'{"type":"object","allOf":[{}', b',{"required":["p%d"]}', b"]}"),
    (b'{"$defs":{"a":{"type":"string"}},"anyOf":[{}', b',{"$ref":"#/$defs/a"}', b"]}"),
    (b'{"type":"object","properties":{"":{}', b',"p%d":{"$ref":"#/properties/p%%64"}', b'},"$defs":{}}'),
    (
        b'{"$defs":{"a0":{}',
        b',"b%d":{"x":{"a":{}}}',
        b'},"anyOf":[{"$ref":"#/$defs/b1/x/a"},{"$ref":"#/$defs/b2/x/a"}]}',
    ),
    (b'{"enum":[0', b",%d", b'],"type":"integer"}'),
    (b'{"type":"object","required":["a"', b',"p%d"', b'],"properties":{"a":{}}}'),
    (b"{", b'"items":{', b""),
    (b'{"description":"', b"a", b'"}'),
)

TARGETS: Final = (
    Target("schema", scrubbed, _SAMPLES, _WORDS, _GROWS, bare=scrub),
    Target("validate", fitted, tuple(b"\7\1\2" + one for one in _SAMPLES), _WORDS),
    Target(
        "pattern",
        patterned,
        (b"^a+$\naaa", b"(?:a|b)*c\nabab", b"(?i)[a-z]{2,9}\\d\nab1", b"(?P<x>a)(?=b)\nab"),
        (b"(?:", b"(?=", b"(?<!", b"[^", b"]", b"{1,9}", b"*+", b"+?", b"|", b"\\b", b"(?i)", b"(?>", b"\n", b"\\1"),
    ),
    Target(
        "repair",
        repaired,
        (
            b'{"a": [1, 2,], }',
            b'So:\n```json\n{"a": "x\ny"}\n```\n',
            b"[1] and [2, 3]",
            b'"\\ud800"',
            b"\xef\xbb\xbf{}",
        ),
        (b"```", b"```json\n", b'{"', b'":', b",}", b",]", b"NaN", b"1e999", b'"\\ud83d"', b"[[[", b"]]]", b"null"),
        tuple(
            (b"", repeated, b"")
            for repeated in (
                b"[",
                b"{",
                b"```",
                b'{"a":',
                b",",
                b", ",
                b"a",
                b'"',
                b'\\"',
                b"[1,",
                b"{}",
                b"```\n{\n",
                b"1",
            )
        ),
    ),
)
