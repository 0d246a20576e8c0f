"""One redactor: what it knows is gone from every text, in every form, and it leaves all other texts alone."""

from __future__ import annotations

import html
import io
import json
import logging
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from canary import KEY, holds

from mcp_llm.redactor import MASK, MOST_TOKENS, Redactor

ODD = 'p"w\\d/+?é-0123456789'


@pytest.mark.parametrize("secret", [KEY, ODD])
@pytest.mark.parametrize("around", ["", "a", "ab", "user:"])
def test_a_secret_is_taken_out_in_every_form_in_which_it_travels(secret: str, around: str) -> None:
    redacted = Redactor([secret])
    said = f"{around}{secret}{around}"
    assert redacted(said) == f"{around}{MASK}{around}"
    assert redacted(said.upper() if secret.isascii() else said) == f"{around}{MASK}{around}".replace(
        around, around.upper() if secret.isascii() else around
    )
    assert MASK in redacted(quote(said, safe=""))
    assert json.loads(redacted(json.dumps({"k": said}))) == {"k": f"{around}{MASK}{around}"}
    for coded in (b64encode(said.encode()).decode(), urlsafe_b64encode(said.encode()).decode()):
        assert MASK in redacted(f"Basic {coded}")
        assert not holds(redacted(f"Basic {coded}").encode())


SLASHED = "wJalrXUtnFEMI/K7MDENG+bPx~RfiCY=="


@pytest.mark.parametrize(
    "written",
    [
        quote(SLASHED),
        quote(SLASHED, safe=""),
        quote(SLASHED, safe="/+"),
        quote(quote(SLASHED)),
        quote(SLASHED, safe="").replace("%2F", "%2f"),
        SLASHED.replace("/", "\\/"),
        json.dumps(SLASHED.replace("/", "\\/")),
        SLASHED.replace("+", "\\u002b").replace("=", "\\u003D"),
        SLASHED.replace("+", "\\x2b"),
        SLASHED.replace("/", "&#x2F;").replace("+", "&#43;"),
        html.escape(html.escape(f'"{ODD}"')),
        json.dumps(json.dumps({"k": ODD})),
        SLASHED.encode().hex(),
        repr(SLASHED.encode()),
    ],
)
def test_it_does_not_matter_which_characters_were_escaped_or_how_often(written: str) -> None:
    redacted = Redactor([SLASHED, ODD])
    told = redacted(f"see {written} there")
    assert MASK in told
    assert not any(piece in told for piece in ("K7MDENG", b"K7MDENG".hex(), "0123456789"))
    assert told.startswith("see ")
    assert told.endswith(" there")
    assert redacted(written.replace("M", "N").replace("9", "8").replace("4d", "4e")).count(MASK) == 0


def test_escapes_beside_a_secret_stay_and_json_stays_json() -> None:
    redacted = Redactor([SLASHED])
    said = {"path": f"C:\\{SLASHED}\n", "url": f"https://x/?k={quote(SLASHED)}&a=%20"}
    told = json.loads(redacted(json.dumps(said)))
    assert told == {"path": f"C:\\{MASK}\n", "url": f"https://x/?k={MASK}&a=%20"}


def test_of_tokens_that_pass_the_newest_are_known_and_keys_stay_known() -> None:
    redacted = Redactor([KEY])
    tokens = [f"token-{number:04}-{'x' * 20}" for number in range(MOST_TOKENS + 5)]
    for token in tokens:
        redacted.learn_token(token)
        redacted.learn_token(token)
    assert redacted(f"{KEY} {tokens[4]}") == f"{MASK} {tokens[4]}"
    assert redacted(f"{tokens[5]} {tokens[-1]}") == f"{MASK} {MASK}"
    assert redacted.value([tokens[-1]]) == [MASK]


def test_a_token_cannot_be_a_word() -> None:
    redacted = Redactor()
    for word in ("response", "additionalProperties", "short"):
        redacted.learn_token(word)
    assert redacted('{"response": "hi"}') == '{"response": "hi"}'


@pytest.mark.parametrize("size", range(8, len(KEY)))
def test_a_quotation_that_was_cut_in_a_key_keeps_nothing_of_it(size: int) -> None:
    redacted = Redactor([KEY, "another-secret-0001", KEY[:6] + "-and-more"])
    assert redacted.cut(f"it says '{KEY[:size]}'") == f"it says '{MASK}'"
    assert redacted.cut(f"it says {KEY.upper()[:size]}") == f"it says {MASK}"


def test_the_longer_of_two_secrets_goes_as_a_whole() -> None:
    redacted = Redactor(["secret-one", "secret-one-and-more"])
    assert redacted("<secret-one-and-more> <secret-one>") == "<***> <***>"


def test_words_paths_and_addresses_are_no_secrets() -> None:
    redacted = Redactor(["ollama", "/home/me/.ssh/id_rsa", "~/keys/a.pem", "C:\\keys\\a.pem", "https://example.org/a"])
    text = "ollama /home/me/.ssh/id_rsa ~/keys/a.pem C:\\keys\\a.pem https://example.org/a"
    assert redacted(text) is text


def test_what_is_learned_later_holds_from_then_on_and_values_are_walked() -> None:
    redacted = Redactor()
    value = {"a": [KEY, 1, None], KEY: {"b": f"x{KEY}"}}
    assert redacted.value(value) is value
    redacted.learn([KEY])
    assert redacted.value(value) == {"a": [MASK, 1, None], MASK: {"b": "x***"}}


def test_a_log_holds_no_key_in_words_arguments_traceback_or_stack() -> None:
    written = io.StringIO()
    logger = logging.Logger("apart")
    logger.addHandler(logging.StreamHandler(written))
    Redactor([KEY]).guard(logger)
    try:
        raise ValueError(f"refused {KEY}") from OSError(b64encode(f"Bearer {KEY}".encode()).decode())
    except ValueError:
        logger.exception("it failed with %s at %d", KEY, 7, stack_info=True)
    said = written.getvalue()
    assert said.startswith(f"it failed with {MASK} at 7\n")
    assert f"ValueError: refused {MASK}\n" in said
    assert "Stack (most recent call last)" in said
    assert not holds(said.encode())


def test_many_keys_in_a_long_text_are_taken_out_in_one_pass() -> None:
    secrets = [f"secret-{number:04}-{'x' * number}" for number in range(1, 40)]
    redacted = Redactor(secrets)
    said = "".join(f"{secret.upper()}İ{secret} " for secret in secrets) + KEY
    assert redacted(said) == "".join("***İ*** " for _ in secrets) + KEY
    plain = said.replace("İ", "-") * 1_000
    assert redacted(plain) == ("".join("***-*** " for _ in secrets) + KEY) * 1_000


def test_a_text_that_goes_on_is_unfinished_in_the_middle_of_a_key_only() -> None:
    redacted = Redactor([KEY, "zero-secret-0001"])
    said = f"it had {KEY} up"
    begins = said.index(KEY)
    ends = begins + len(KEY)
    found = [size for size in range(len(said) + 1) if redacted.unfinished(said[:size])]
    assert found == list(range(begins + 1, ends))
    assert redacted.unfinished(f"x{KEY.upper()[:9]}")
    assert not Redactor().unfinished(KEY[:9])
