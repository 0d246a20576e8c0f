"""The one that takes keys out of what is told, kept, logged or shown. Every way out of the process goes through it.

It knows exact values and the forms in which they travel; what merely has the look of a key is `runs/keys.py`'s, for
what leaves the machine. It keeps no text and does no I/O.
"""

from __future__ import annotations

import json
import logging
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MASK", "SHORTEST", "Hidden", "Redactor"]

MASK: Final = "***"
SHORTEST: Final = 8
"""Values with fewer characters are words (`ollama`), not secrets."""
_PLACE: Final = re.compile(r"(~|\.{1,2})?/[\w.@ -]*(/[\w.@ -]*)*|[A-Za-z]:[\\/].*|\w+://[^@]*")
"""A path or an address: `SSH_KEY_FILE` says where a secret is, and is none."""


class Hidden(str):
    """A text that `repr` does not show: crash reports write the values of all names in all frames."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{MASK}'"


class Redactor:
    """Call it with a text. What it has learned once it never forgets: a key that was changed may still be quoted."""

    __slots__ = ("_forms", "_known")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._forms: tuple[str, ...] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Values that are to be seen nowhere from now on; short words, paths and addresses are left alone."""
        new = {secret for secret in secrets if len(secret) >= SHORTEST and not _PLACE.fullmatch(secret)}
        if not new <= self._known:
            self._known |= new
            self._forms = None

    def __call__(self, text: str) -> str:
        """The text with `***` for every known value, as it is in any case of letters, encoded, or escaped in JSON."""
        small = text.lower()  # in any case of letters: hosts' names come in small ones
        found = [form for form in self._known_forms() if form in small]
        if not found:
            return text
        if len(small) != len(text):  # a letter that is two in small: places would not fit
            return re.sub("|".join(map(re.escape, found)), MASK, text, flags=re.IGNORECASE)
        return _without(text, small, found)

    def cut(self, text: str) -> str:
        """The same of a quotation, which may have been cut in the middle of a key: no beginning of one at its end."""
        text = self(text)
        said = text.rstrip("'\"")
        small = said.lower()
        for form in self._known_forms():
            for size in range(len(form) - 1, SHORTEST - 1, -1):
                if small.endswith(form[:size]):
                    return f"{said[:-size]}{MASK}{text[len(said) :]}"
        return text

    def _known_forms(self) -> tuple[str, ...]:
        """In small letters, the longest first."""
        if self._forms is None:
            found = {form.lower() for secret in self._known for form in _forms(secret)}
            self._forms = tuple(sorted(found, key=len, reverse=True))
        return self._forms

    def value(self, value: Any) -> Any:
        """The same of a JSON value, names of fields included; itself where nothing is known in it."""
        if not self._known:
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
    """As it is, in JSON, in a URL, and in the middle of either alphabet of base64, whatever stands before it."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield quote(secret, safe="")
    data = secret.encode("utf-8", "surrogatepass")
    for before, unsure in enumerate((0, 2, 3)):
        # Characters that the bytes around it have no part in.
        coded = b64encode(b"\0" * before + data)[unsure : (before + len(data)) * 8 // 6].decode()
        yield coded
        yield coded.translate({ord("+"): "-", ord("/"): "_"})
