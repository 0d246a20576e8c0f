"""A comparison as text: the verdict, a table of the models, how the judges did, and the answers themselves. Pure."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from .cost import dollars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .result import Agreement, Check, Compared, Judging, Rate, Result, Standing

SHOWN: Final = 60_000
"""Characters of a whole comparison in one reply, as for one answer."""
LEAST: Final = 200
"""Characters of each answer that are shown in any case."""


def summary(compared: Compared) -> str:
    """Everything but the answers."""
    blocks = []
    if compared.verdict is not None:
        words = compared.verdict.words
        blocks.append(f"{words[0].upper()}{words[1:]}".rstrip(".") + ".")
    blocks.append(_models(compared))
    notes = []
    if compared.judging is not None:
        notes += _judging(compared.judging)
    if compared.agreement is not None:
        notes.append(_agreement(compared.agreement))
    if compared.frontier is not None and (beaten := [row for row in compared.models if row.dominated_by]):
        told = "; ".join(f"{row.model} by {', '.join(row.dominated_by)}" for row in beaten)
        notes.append(f"dominated in cost, quality and latency: {told}")
    blocks += ["\n".join(notes)] if notes else []
    return "\n\n".join(blocks)


def whole(compared: Compared, most: int | None = None) -> str:
    """The summary, the answers (each in at most so many characters), the receipt and the notes."""
    return "\n\n".join([compared.response, *answers(compared.results, most), *_end(compared)])


def fitted(compared: Compared, most: int = SHOWN) -> str:
    """`whole` in the size of one reply: long answers give their first part, and where the rest is."""
    text = whole(compared)
    if len(text) <= most:
        return text
    frame = len(text) - sum(len(one.response) for one in compared.results)
    # The line under a cut answer takes 120 characters.
    short = whole(compared, share(compared.results, most - frame - 120 * len(compared.results)))
    if len(short) <= most:
        return short
    return f"{text[:most]}\n\n[{len(text) - most:,} more characters: {_read(compared.run_id, most)}]"


def _read(run_id: str, offset: int) -> str:
    return f'runs(action="read", run_id="{run_id}", offset={offset})'


def share(results: Sequence[Result], room: int) -> int:
    """Characters that each answer may have so that all fit; what short ones leave goes to the long ones."""
    lengths = sorted(len(one.response) for one in results)
    for index, length in enumerate(lengths):
        each = room // (len(lengths) - index)
        if length > each:
            return max(LEAST, each)
        room -= length
    return max(LEAST, lengths[-1] if lengths else 0)


def cut(result: Result, most: int | None) -> str:
    """The answer, or its first part and how to read on."""
    text = result.response
    if most is None or len(text) <= most:
        return text
    return f"{text[:most]}\n[the first {most:,} of {len(text):,} characters; the rest: {_read(result.run_id, most)}]"


def answers(results: Sequence[Result], most: int | None = None) -> list[str]:
    """A block for each answer, headed by who gave it."""
    prompts = len({one.prompt for one in results}) > 1
    samples = len({one.sample for one in results}) > 1
    found = []
    for one in results:
        head = one.model
        if prompts:
            head = f"prompt {one.prompt + 1} · {head}"
        if samples:
            head += f" · sample {one.sample + 1}"
        if one.error is not None:
            partial = f"\nWhat had arrived:\n{cut(one, most)}" if one.response else ""
            found.append(f"--- {head} · failed ---\n{one.error.message}{partial}")
            continue
        if one.check is not None:
            head += f" · {_check(one.check)}"
        if one.finish_reason not in {"stop", "tool_calls"}:
            head += f" · stopped: {one.finish_reason}"
        found.append(f"--- {head} ---\n{cut(one, most) or '(no text)'}")
    return found


def _end(compared: Compared) -> list[str]:
    done = sum(one.error is None for one in compared.results)
    words = [f"{len(compared.models)} models", f"{done} of {len(compared.results)} answers"]
    if compared.judging is not None:
        good = sum(one.asked - one.failed for one in compared.judging.judges)
        words.append(f"{good} verdicts")
    words.append(_usd(compared.cost.usd, "cost unknown"))
    if compared.latency_ms is not None:
        words.append(f"{compared.latency_ms / 1000:.1f} s")
    words.append(f"run {compared.run_id}")
    notes = [*compared.warnings]
    for one in compared.results:
        notes += [f"{one.model}: {words}" for words in one.warnings]
    return [f"[{' · '.join(words)}]", *(f"[note: {words}]" for words in list(dict.fromkeys(notes))[:20])]


def _models(compared: Compared) -> str:
    rows = compared.models
    head = ["model", "ok", "cost", "s", "tokens"]
    columns = [
        [row.model if row.target in (None, row.model) else f"{row.model} = {row.target}" for row in rows],
        [f"{row.answers}/{row.answers + row.failed}" for row in rows],
        [_usd(row.usd, "?") if row.answers else "-" for row in rows],
        [_figure(row.seconds, ".1f", row) for row in rows],
        [_figure(row.output_tokens, ",.0f", row) for row in rows],
    ]
    if any(row.passed for row in rows):
        head.append("checks [95 %]")
        columns.append([_rate(row.passed) for row in rows])
    if any(row.win_rate for row in rows):
        head.append("win rate [95 %]")
        columns.append([_rate(row.win_rate) for row in rows])
    widths = [max(_width(cell) for cell in (name, *cells)) for name, cells in zip(head, columns, strict=True)]
    lines = [list(head), *(list(cells) for cells in zip(*columns, strict=True))]
    return "\n".join(
        "  ".join(
            _pad(cell, width, right=index in (2, 3, 4))
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in lines
    )


def _judging(judged: Judging) -> list[str]:
    lines = []
    for one in judged.judges:
        words = [f"judge {one.model}", f"{one.asked - one.failed} of {one.asked} verdicts"]
        if one.flips is not None:
            words.append(f"changed with the order in {one.flips.value:.0%} of pairs [{_interval(one.flips)}]")
        if one.preferred_first is not None and one.flips is not None and one.flips.value >= 0.1:
            words.append(f"then for the first in {one.preferred_first:.0%}")
        lines.append(" · ".join(words))
    if judged.kappa is not None:
        name = "Fleiss'" if judged.kappa_of == "fleiss" else "Cohen's"
        lines.append(f"the judges agree with {name} kappa {judged.kappa:.2f}")
    if judged.length is not None:
        length = judged.length
        lines.append(
            f"the longer answer won {length.longer_won:.0%} of {length.decided} decided pairs (p = {length.p:.2g})"
        )
    lines += [f"failed: {words}" for words in judged.failures[:5]]
    return lines


def _agreement(found: Agreement) -> str:
    words = (
        f"answers of two models are equal in {found.same:.0%} of cases, their wording is {found.similarity:.0%} alike"
    )
    if found.consistency:
        words += "; own samples equal: " + ", ".join(f"{name} {share:.0%}" for name, share in found.consistency.items())
    return words


def _check(check: Check) -> str:
    if check.passed is None:
        return f"not checked: {'; '.join(check.unchecked)[:200]}"
    return "passed" if check.passed else f"failed: {'; '.join(check.failed)[:200]}"


def _usd(usd: float | None, unknown: str) -> str:
    return unknown if usd is None else "free" if not usd else dollars(usd)


def _figure(value: float | None, form: str, row: Standing) -> str:
    return "-" if not row.answers else "?" if value is None else format(value, form)


def _rate(found: Rate | None) -> str:
    return "-" if found is None else f"{found.value:.0%} [{_interval(found)}]"


def _interval(found: Rate) -> str:
    return f"{found.low * 100:.0f}-{found.high * 100:.0f}"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _pad(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
