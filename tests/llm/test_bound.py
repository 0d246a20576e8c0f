"""What is held for the input is never less than any tokenizer makes of it, and no more than twice that for prose."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.catalog.schema import Facts
from mcp_llm.llm import bound
from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import Media, Message, Text, Thinking, user

PROSE = "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience. "
NOISE = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(64))


@pytest.mark.parametrize(
    ("words", "counted"),
    [  # the most that cl100k, o200k and Claude 2's tokenizer make of it
        (PROSE, 22),
        ("def f(self, x: int) -> int:\n    return self.total[x] + 1\n" * 20, 460),
        (base64.b64encode(NOISE).decode(), 1967),
        (NOISE.hex(), 2372),
        ("qzxk vwjq zkxv jqwx " * 50, 551),
        ("kdu wpa zem oqi " * 50, 401),
        ("a b c d e f g h i j " * 50, 501),
        ("0123456789" * 50, 167),
        ("{}[]<>;:!?&%$#@~^|" * 30, 420),
        (" \t" * 300, 300),
        ("我们认为这些真理是不言而喻的，人人生而平等。" * 20, 440),
        ("".join(map(chr, range(0x4E00, 0x9FA0, 9))), 5464),
        ("Все люди рождаются свободными и равными. " * 20, 501),
        ("सभी मनुष्यों को गौरव और अधिकारों के मामले में " * 20, 1001),
        ("".join(map(chr, range(0x1F300, 0x1F600, 3))), 740),
    ],
)
def test_no_tokenizer_makes_more_of_a_text(words: str, counted: int) -> None:
    assert counted <= bound.text(words)


@given(st.text("ab zQ9\n\t,.é", max_size=60) | st.text(max_size=60))
def test_a_text_is_held_at_the_same_whether_its_words_were_seen_before(words: str) -> None:
    whole = len(words.encode("utf-8", "replace")) - bound._letters(words) // 2
    assert (bound.text(words), bound.text(words)) == (whole, whole)


def test_prose_is_held_at_about_twice_what_it_is() -> None:
    assert bound.text(PROSE * 50) <= 2.7 * 22 * 50


def test_a_model_reads_no_more_than_its_context() -> None:
    request = ChatRequest(messages=(user(Text("人" * 10_000)),))
    assert bound.tokens(request, None) >= 30_000
    assert bound.tokens(request, Facts(context=8_192)) == 8_192


def test_a_picture_is_held_at_what_the_model_counts_it_as_where_that_is_more_than_usual() -> None:
    request = ChatRequest(messages=(user(Media("image/png", data="AAAA"), Media("image/png", data="BBBB")),))
    usual, more = bound.tokens(request, None), bound.tokens(request, Facts(picture_tokens=48_169))
    assert more - usual == 2 * (48_169 - bound.PICTURE)


def test_everything_that_is_sent_is_held() -> None:
    def of(*parts: object, **more: object) -> int:
        return bound.tokens(
            ChatRequest.model_validate({"messages": (Message.model_construct(role="user", parts=parts),), **more}), None
        )

    empty = of()
    pages = base64.b64encode(b"%PDF-1.4 " + b"<< /Type /Page /Parent 1 0 R >>" * 3 + b"x" * 100_000).decode()
    packed = base64.b64encode(b"%PDF-1.5 /Type /Page /Type /ObjStm" + b"x" * 100_000).decode()
    assert of(Media("image/png", data="AAAA")) == empty + bound.PICTURE
    assert of(Media("application/pdf", data=pages)) == empty + 3 * bound.PAGE
    assert of(Media("application/pdf", data=packed)) >= 100_000
    assert of(Media("application/pdf", url="https://example.com/a.pdf")) == empty + bound.FILE
    assert of(Media("audio/mpeg", data="A" * 400_000)) >= 300_000 // 20
    assert of(Thinking("", echo={"signature": "A" * 3000})) >= empty + 1000
    tool = ToolSpec(name="look", description="looks things up", parameters={"type": "object"})
    assert of(tools=(tool,)) > empty + 1000
    assert of(json_schema={"type": "object"}, system="x" * 100) > empty + 1100


def test_the_kinds_that_have_rates_of_their_own_are_found() -> None:
    def of(mime: str, **more: object) -> frozenset[str]:
        parts = (Media(mime, data="AAAA"),)
        return bound.kinds(ChatRequest.model_validate({"messages": (user(*parts),), **more}))

    assert of("audio/mpeg") == {"audio"}
    assert of("image/png") == of("application/pdf") == {"image"}
    assert of("video/mp4") == {"audio"}
    assert of("text/plain") == frozenset()
    long = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert of("text/plain", options=long) == {"long cache"}
    assert bound.kinds(ChatRequest(messages=()), long) == {"long cache"}
