"""Words of strangers, and the bytes they come in."""

from __future__ import annotations

import json
import time
from typing import Any

import anyio
import hypothesis
import hypothesis.strategies as st
import pytest

from mcp_llm.toolsets import text
from mcp_llm.toolsets.lines import MOST_VALUES, Lines, TooLong, Values, is_heavy, parse

pytestmark = pytest.mark.anyio


def test_what_nobody_sees_is_taken_out_and_the_rest_stays() -> None:
    hidden = "\x00\x1b[31m\x7f\x9b\u200b\u2060\ufeff\u202e\u2066\u061c\U000e0041\U000e007f\u3164"
    assert text.visible(f"a{hidden}b\tc\r\nd") == "ab\tc\r\nd"
    assert text.clean(f"a{hidden}\u200d\ufe0f\U000e0100b\tc\r\nd") == "ab\tc\nd"
    kept = "naïve 日本語 می‌خواهم 👨‍👩‍👧 ❤️ café"
    assert text.visible(kept) == kept
    assert text.visible("\ud800x\x1b]0;title\x07y\x1b[2Jz") == "\ufffdxyz"
    assert text.line("a\n  b\u2028c\tdé", 80) == "a b c dé"


@hypothesis.given(st.text(), st.integers(0, 40))
def test_cut_words_are_the_beginning_within_the_cap(words: str, most: int) -> None:
    cut = text.cut(words, most)
    assert len(cut.encode("utf-8", "replace")) <= most or cut == ""
    if len(words.encode("utf-8", "replace")) > most:
        assert words.encode("utf-8", "replace").decode("utf-8", "replace").startswith(cut.removesuffix(" ..."[:most]))


@hypothesis.given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)), st.integers(1, 7))
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], size: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    reader = Lines(100)
    found = [line for at in range(0, len(data), size) for line in reader.feed(data[at : at + size])]
    assert found == lines


def test_a_line_over_the_cap_is_not_kept() -> None:
    reader = Lines(10)
    assert reader.feed(b"0123456789\n01234") == [b"0123456789"]
    assert reader.feed(b"56789\n") == [b"0123456789"]
    with pytest.raises(TooLong):
        reader.feed(b"01234567890")


@hypothesis.given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('a,"\\[{')),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(st.sampled_from('a,"\\')), inner, max_size=4)
        ),
    ),
    st.integers(1, 9),
)
def test_values_are_counted_outside_strings_however_they_are_cut(value: Any, size: int) -> None:
    data = json.dumps(value).encode()
    values = Values()
    for at in range(0, len(data), size):
        values.feed(data[at : at + size])

    def count(node: Any) -> int:
        if isinstance(node, dict | list):
            inner = node.values() if isinstance(node, dict) else node
            return 1 + max(len(node) - 1, 0) + sum(map(count, inner))
        return 0

    assert values.count == count(value)


async def test_many_values_are_heavy_and_long_words_are_not() -> None:
    assert await is_heavy(b"[" + b"1," * (MOST_VALUES + 1) + b"1]")
    assert not await is_heavy(b'{"a":"' + b",[{" * 1_000_000 + b'"}')


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"a":1}', {"a": 1}),
        (b'  {"a":1}\r', {"a": 1}),
        (b'{"a":"caf\xe9"}', {"a": "caf\ufffd"}),
        (b'{"a":"\\ud83d\\ude00 \\ud800"}', {"a": "\U0001f600 \ufffd"}),
        (b'{"a":NaN,"b":-Infinity}', {"a": None, "b": None}),
        (b'{"a":"raw\ttab"}', {"a": "raw\ttab"}),
        (b'[{"a":1}]', None),
        (b"INFO started", None),
        (b'{"a":', None),
        (b"", None),
        (b'{"a":1' + b"0" * 5000 + b"}", None),
    ],
)
async def test_a_line_is_read_as_far_as_it_can_be(line: bytes, value: Any) -> None:
    assert await parse(line) == value


async def test_what_is_too_deep_is_null_and_the_rest_is_read() -> None:
    deep = b'{"a":' + b"[" * 900 + b'"]"' + b"]" * 900 + b',"b":"}\\"{","c":2}'
    found = await parse(deep)
    assert found is not None
    assert (found["b"], found["c"]) == ('}"{', 2)
    assert await parse(b'{"a":' + b"[" * 900) is None
    # A string without an end is not looked through again from each of its quotes.
    assert await parse(b'{"a":' + b"[" * 900 + b'"' + b'\\"' * 4_000_000 + b"}") is None


@hypothesis.given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    anyio.run(parse, b"{" + data)


def test_cleaning_is_linear() -> None:
    took = []
    for size in (100_000, 1_000_000):
        started = time.perf_counter()
        text.visible("\x1b[" * size)
        text.visible("é\u200b" * size)
        took.append(time.perf_counter() - started)
    assert took[1] < 30 * took[0] + 0.5
