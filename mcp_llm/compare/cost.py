"""What a comparison will cost: quoted before it is made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mcp_llm.catalog import price
from mcp_llm.errors import BudgetExceeded
from mcp_llm.llm import bound, parameters
from mcp_llm.llm.money import UNKNOWN_OUTPUT
from mcp_llm.types.chat import ChatRequest
from mcp_llm.types.message import user
from mcp_llm.types.result import dollars as exactly

from .result import Quote

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mcp_llm.catalog.find import Target
    from mcp_llm.llm.service import Service

    from .asked import Comparison, Question

USUAL: Final = 1000
"""Tokens of an answer of the usual length, reasoning included."""
USUAL_VERDICT: Final = 400
VERDICT: Final = 4096
"""Tokens that a judge may use for a verdict, most of them for thinking."""
FRAME: Final = 500
"""Tokens of the judges' instructions."""


@dataclass(frozen=True, slots=True)
class Line:
    """Calls of one kind: dollars for each without any output, dollars per output token, how long, how many."""

    target: Target
    base: float | None
    per_token: float
    usual: int
    longest: int
    calls: int
    verdict: bool = False
    turns: int = 1
    """2 where an answer that does not fit its schema is repaired once."""
    more: float = 0.0
    """Dollars that the input may cost beyond what it probably does."""

    def usd(self, tokens: int) -> float:
        """Dollars of one call with this many output tokens, probably; 0 where no price is known."""
        return 0.0 if self.base is None else self.base + self.per_token * tokens

    def most(self, tokens: int) -> float:
        """The same at most."""
        return self.usd(tokens) + self.more

    @property
    def worst(self) -> float | None:
        """The most that one of them can cost."""
        return None if self.base is None else self.most(self.longest)


def lines(
    service: Service,
    ask: Comparison,
    asked: Sequence[Question],
    targets: Sequence[Target],
    judges: Sequence[tuple[Target, int]],
) -> list[Line]:
    """A line for each model and prompt, and for each judge and prompt; `judges` are (who, pairs each may judge)."""
    found: list[Line] = []
    for question in asked:
        request = ChatRequest(messages=(user(*question.said),), system=ask.system, json_schema=ask.json_schema)
        tokens = parameters.estimate_tokens(request)
        kinds = bound.kinds(request)
        longest = ask.max_tokens
        written = []
        for target in targets:
            turns = 1 if ask.json_schema is None else 2
            spent = (tokens, bound.tokens(request, target.facts))
            line = replace(_line(service, target, spent, longest, USUAL, ask.samples, kinds), turns=turns)
            written.append(min(line.longest, USUAL))
            found.append(line)
        read = tokens + 2 * max(written, default=USUAL) + len(ask.rubric or "") // 4 + FRAME
        for target, pairs in judges:
            spent = (read, read + bound.tokens(request, target.facts) - tokens)
            line = _line(service, target, spent, VERDICT, USUAL_VERDICT, 2 * pairs * ask.samples, kinds)
            found.append(replace(line, verdict=True, turns=2))
    return found


def _line(
    service: Service,
    target: Target,
    tokens: tuple[int, int],
    longest: int | None,
    usual: int,
    calls: int,
    kinds: Collection[str],
) -> Line:
    """`tokens` of input: probably, and at most; `kinds` as in `bound`."""
    now = datetime.now(UTC)
    limit = target.facts.output or UNKNOWN_OUTPUT
    most = min(longest, limit) if longest is not None else limit
    likely, worst = (min(count, target.facts.context or count) for count in tokens)
    base, more, held = (
        price.worst_case(target, count, output, now, kinds=kinds, overrides=service.purse.overrides)
        for count, output in ((likely, 0), (likely, 1000), (worst, 0))
    )
    if base is None or more is None or held is None:
        base = more = held = service.config.settings.budget.unknown_usd
    if base is None or more is None or held is None:
        return Line(target, None, 0.0, min(usual, most), most, calls)
    per_token = float(more - base) / 1000
    return Line(target, float(base), per_token, min(usual, most), most, calls, more=float(held - base))


def quote(found: Sequence[Line]) -> Quote:
    """The sums of all lines."""
    unpriced = tuple(dict.fromkeys(line.target.name for line in found if line.base is None))
    known = any(line.base is not None for line in found)
    least = sum(line.calls * line.usd(0) for line in found)
    likely = sum(line.calls * line.usd(line.usual) for line in found)
    most = sum(line.calls * line.turns * line.most(line.longest) for line in found)
    return Quote(
        answers=sum(line.calls for line in found if not line.verdict),
        judgements=sum(line.calls for line in found if line.verdict),
        usd_at_least=least if known else None,
        usd_likely=likely if known else None,
        usd_at_most=most if known else None,
        unpriced=unpriced,
    )


def together(found: Sequence[Line], tokens: int | None) -> float:
    """Dollars of all calls when every answer has at most so many output tokens; None: as many as its model can write.

    Judges are counted at their usual length, since they are asked one after another when money gets scarce.
    """
    return sum(
        line.calls * line.most(line.usual if line.verdict else min(tokens or line.longest, line.longest))
        for line in found
    )


def longest_answer(found: Sequence[Line], budget: float, *, whose: str = "the budget is") -> int | None:
    """The output tokens that every answer may have so that all together, judged, stay within the budget.

    None where no limit is needed. The same for all models: a limit by money would favour the cheap ones. Raises
    BudgetExceeded when answers of the usual length would not fit.
    """
    left = budget * 0.999
    if together(found, None) <= left:
        return None
    if together(found, USUAL) > left:
        raise BudgetExceeded(
            f"{said(quote(found))}; {whose} {exactly(budget)}. Raise it, or take fewer models, prompts, samples or "
            "judges, cheaper models, or a lower `max_tokens`.",
            limit="usd",
        )
    low, high = USUAL, max((line.longest for line in found if not line.verdict), default=0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if together(found, middle) <= left else (low, middle - 1)
    return low


def dollars(usd: float) -> str:
    """An amount as people write it."""
    return f"${usd:.3g}" if 1e-4 <= usd < 1 else exactly(usd)  # `g` alone has exponents


def said(given: Quote) -> str:
    """The quote in words."""
    words = f"this comparison makes {given.answers:,} calls"
    if given.judgements:
        words += f" and {given.judgements:,} judgements"
    if given.usd_likely is None:
        words += " at a cost that is not known"
    elif not given.usd_at_most:
        words += ", all of them free"
    else:
        words += f", about {dollars(given.usd_likely)}, at most {dollars(given.usd_at_most)}"
    if given.unpriced and given.usd_likely is not None:
        words += f", plus what {', '.join(given.unpriced)} may cost, whose price is not known"
    return words
