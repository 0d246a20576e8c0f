"""The one that takes keys out of what is told, kept, logged or shown. Every way out of the process goes through it.

It knows exact values and the forms in which they travel; what merely has the look of a key is `runs/keys.py`'s, for
what leaves the machine. It keeps no text and does no I/O.
"""

from __future__ import annotations

import logging
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MASK", "MOST_TOKENS", "SHORTEST", "Hidden", "Redactor"]

MASK: Final = "***"
SHORTEST: Final = 8
"""Values with fewer characters are words (`ollama`), not secrets."""
MOST_TOKENS: Final = 100
_WORD: Final = re.compile(r"[A-Za-z_ -]{1,20}")
"""No token: another server chooses those, and shall not be able to have us mask words (`response`)."""
_ENTITIES: Final = {'"': "quot", "&": "amp", "'": "apos", "<": "lt", ">": "gt"}
_PLAIN: Final = re.compile(r"[A-Za-z0-9]+")
_PLACE: Final = re.compile(r"(~|\.{1,2})?/[\w.@ -]*(/[\w.@ -]*)*|[A-Za-z]:[\\/].*|\w+://[^@]*")
"""A path or an address: `SSH_KEY_FILE` says where a secret is, and is none."""


class Hidden(str):
    """A text that `repr` does not show: crash reports write the values of all names in all frames."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{MASK}'"


class Redactor:
    """Call it with a text. A key that it has learned it never forgets: one that was changed may still be quoted.

    Tokens pass: of those it knows the newest `MOST_TOKENS`, since a server that runs for a year sees thousands.
    """

    __slots__ = ("_escaped", "_forms", "_known", "_small", "_tokens")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._tokens: dict[str, None] = {}
        self._forms: tuple[str, ...] | None = None
        self._escaped: list[tuple[str, _Escaped]] = []
        self._small: tuple[str, ...] = ()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Values that are to be seen nowhere from now on; short words, paths and addresses are left alone."""
        new = {secret for secret in secrets if len(secret) >= SHORTEST and not _PLACE.fullmatch(secret)}
        if not new <= self._known:
            self._known |= new
            self._forms = None

    def learn_token(self, token: str) -> None:
        """The same of what is valid for an hour or so."""
        if len(token) >= SHORTEST and token not in self._tokens and not _WORD.fullmatch(token):
            self._tokens[token] = None
            if len(self._tokens) > MOST_TOKENS:
                del self._tokens[next(iter(self._tokens))]
            self._forms = None

    def __call__(self, text: str) -> str:
        """The text with `***` for every known value, as it is in any case of letters, encoded, or with escapes."""
        small = text.lower()  # in any case of letters: hosts' names come in small ones
        if found := [form for form in self._known_forms() if form in small]:
            if len(small) != len(text):  # a letter that is two in small: places would not fit
                text = re.sub("|".join(map(re.escape, found)), MASK, text, flags=re.IGNORECASE)
            else:
                text = _without(text, small, found)
            small = text.lower()
        if "\\" in small or "%" in small or "&" in small:
            for secret in [secret for run, secret in self._escaped if run in small]:
                text = secret.without(text)
        return text

    def cut(self, text: str) -> str:
        """The same of a quotation, which may have been cut in the middle of a key: no beginning of one at its end."""
        text = self(text)
        said = text.rstrip("'\"")
        small = said.lower()
        for form in self._known_forms():
            at = small.find(form[:SHORTEST], max(0, len(small) - len(form) + 1))
            while at >= 0:
                if form.startswith(small[at:]):
                    return f"{said[: at - len(small)]}{MASK}{text[len(said) :]}"
                at = small.find(form[:SHORTEST], at + 1)
        return text

    def unfinished(self, text: str) -> bool:
        """Whether a text that goes on has come to the middle of a key, so that what is known of it would be cut."""
        self._known_forms()
        if not self._small:
            return False
        tail = text[-len(self._small[0]) :].lower()
        for secret in self._small:
            at = tail.find(secret[0], max(0, len(tail) - len(secret) + 1))
            while at >= 0:
                if secret.startswith(tail[at:]):
                    return True
                at = tail.find(secret[0], at + 1)
        return False

    def _known_forms(self) -> tuple[str, ...]:
        """In small letters, the longest first."""
        if self._forms is None:
            secrets = (*self._known, *self._tokens)
            self._small = tuple(sorted({secret.lower() for secret in secrets}, key=len, reverse=True))
            found = {form.lower() for secret in secrets for form in _forms(secret)}
            escaped = (_Escaped(secret) for secret in secrets if not _PLAIN.fullmatch(secret))
            self._escaped = [(one.run, one) for one in escaped]
            self._forms = tuple(sorted(found, key=len, reverse=True))
        return self._forms

    def value(self, value: Any) -> Any:
        """The same of a JSON value, names of fields included; itself where nothing is known in it."""
        if not self._known and not self._tokens:
            return value
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {self(name) if isinstance(name, str) else name: self.value(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(self.value, value))
        return value

    def filter(self, record: logging.LogRecord) -> bool:
        """For `addFilter`: the record's words and its traceback, keys taken out of both."""
        record.msg, record.args = self(record.getMessage()), None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = self(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        if record.stack_info:
            record.stack_info = self(record.stack_info)
        return True

    def guard(self, logger: logging.Logger) -> None:
        """Whatever the handlers of this logger write from now on goes through `filter`."""
        last = [logging.lastResort] if logging.lastResort is not None else []
        for handler in logger.handlers or last:
            handler.addFilter(self.filter)


def _without(text: str, small: str, forms: list[str]) -> str:
    """The text less these forms, the first and of those the longest; a pattern costs a hundred times as much."""
    places = {form: small.find(form) for form in forms}
    kept, at = [], 0
    while places:
        form = min(places, key=lambda one: (places[one], -len(one)))
        kept += [text[at : places[form]], MASK]
        at = places[form] + len(form)
        for one, place in list(places.items()):
            if place < at:
                places[one] = small.find(one, at)
                if places[one] < 0:
                    del places[one]
    return "".join(kept) + text[at:]


def _forms(secret: str) -> Iterator[str]:
    """As it is, in hexadecimal, and in the middle of either alphabet of base64, whatever stands before it."""
    yield secret
    data = secret.encode("utf-8", "surrogatepass")
    yield data.hex()
    for before, unsure in enumerate((0, 2, 3)):
        # Characters that the bytes around it have no part in.
        coded = b64encode(b"\0" * before + data)[unsure : (before + len(data)) * 8 // 6].decode()
        yield coded
        yield coded.translate({ord("+"): "-", ord("/"): "_"})


class _Escaped:
    """A secret as JSON, URLs and HTML may have it, escaped once or more often; each escapes other characters."""

    __slots__ = ("_pattern", "_secret", "run")

    def __init__(self, secret: str) -> None:
        self.run = max(_PLAIN.findall(secret.lower()), key=len, default="")
        """Its longest piece that nothing escapes, in small letters: what does not hold it holds none of these."""
        self._secret = secret
        self._pattern: re.Pattern[str] | None = None

    def without(self, text: str) -> str:
        """The text less all of these."""
        if self._pattern is None:
            self._pattern = re.compile("".join(map(_spelled, self._secret)), re.IGNORECASE)
        return self._pattern.sub(MASK, text)


def _spelled(char: str) -> str:
    if _PLAIN.fullmatch(char):
        return char
    units = char.encode("utf-16-be", "surrogatepass").hex()
    codes = "".join(rf"\\{{1,8}}u{units[at : at + 4]}" for at in range(0, len(units), 4))
    quoted = "".join(f"%(?:25)*{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
    ways = [rf"\\{{0,8}}{re.escape(char)}", codes, quoted, rf"\\{{1,8}}x{ord(char):02x}"]
    entities = [f"#0*{ord(char)}", f"#x0*{ord(char):x}", *([_ENTITIES[char]] if char in _ENTITIES else [])]
    ways.append(f"&(?:amp;)*(?:{'|'.join(entities)});")
    return f"(?:{'|'.join(ways)}{'|[+]' if char == ' ' else ''})"
