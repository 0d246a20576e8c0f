"""How far answers agree: equal after normalisation (as numbers, as JSON, as text), and alike word for word. Pure.

Likeness is the token F1 of SQuAD (Rajpurkar et al. (2016), arXiv:1606.05250): twice the shared tokens over all tokens,
which is Dice's coefficient of the two bags of words. It measures wording, not truth.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from .expect import same_json
from .result import Agreement, Similarity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .result import Result

_TOKEN: Final = re.compile(
    # Scripts without spaces: each character stands for itself.
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]|[^\W_]+"
)
_NUMBER: Final = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?%?")
MOST: Final = 20_000
"""Characters of an answer that are compared word for word."""


class Words:
    """One answer, normalised once: NFKC, case folded, white space and the marks around it aside."""

    __slots__ = ("bag", "number", "parsed", "text", "total")

    def __init__(self, text: str, parsed: Any = None) -> None:
        folded = unicodedata.normalize("NFKC", text).casefold()
        self.text = " ".join(folded.split()).strip(" .,;:!?\"'`*_")
        self.parsed = parsed
        self.number = number(self.text)
        self.bag = Counter(_TOKEN.findall(folded[:MOST]))
        self.total = self.bag.total()

    def same(self, other: Words) -> bool:
        """Equal as JSON where both are JSON, as numbers where both are numbers, else as text."""
        if self.parsed is not None and other.parsed is not None:
            return same_json(self.parsed, other.parsed)
        if self.number is not None and other.number is not None:
            return math.isclose(self.number, other.number, rel_tol=1e-9, abs_tol=1e-12)
        return self.text == other.text

    def likeness(self, other: Words) -> float:
        """Token F1 in [0, 1]; 1 for two answers without any word."""
        if not self.total and not other.total:
            return 1.0
        shared = (self.bag & other.bag).total()
        return 2 * shared / (self.total + other.total)


def number(text: str) -> float | None:
    """The number that a text is, None for any other text; thousands may be separated by commas."""
    if len(text) > 100 or _NUMBER.fullmatch(text) is None:
        return None
    value = float(text.rstrip("%").replace(",", ""))
    return value if math.isfinite(value) and not text.endswith("%") else None


def agreement(results: Sequence[Result], models: Sequence[str]) -> Agreement | None:
    """Between the models' answers to the same prompt (sample by sample), and within each model's own samples."""
    answers: dict[tuple[str, int, int], Words] = {
        (one.model, one.prompt, one.sample): Words(one.response, one.parsed) for one in results if one.error is None
    }
    places = sorted({(prompt, sample) for _, prompt, sample in answers})
    pairs: list[Similarity] = []
    for a, b in combinations(models, 2):
        both = [
            (answers[a, *place], answers[b, *place]) for place in places if {(a, *place), (b, *place)} <= answers.keys()
        ]
        if both:
            same = sum(one.same(other) for one, other in both) / len(both)
            alike = math.fsum(one.likeness(other) for one, other in both) / len(both)
            pairs.append(Similarity(a=a, b=b, same=same, similarity=alike, compared=len(both)))
    if not pairs:
        return None
    own: dict[str, float] = {}
    for model in models:
        samples: dict[int, list[Words]] = {}
        for (name, prompt, _), words in answers.items():
            if name == model:
                samples.setdefault(prompt, []).append(words)
        equal = [one.same(other) for found in samples.values() for one, other in combinations(found, 2)]
        if equal:
            own[model] = sum(equal) / len(equal)
    return Agreement(
        same=math.fsum(pair.same for pair in pairs) / len(pairs),
        similarity=math.fsum(pair.similarity for pair in pairs) / len(pairs),
        pairs=tuple(pairs),
        consistency=own,
    )
