"""Judges: who may judge whom, what they are told, and their verdicts on every pair of answers in both orders.

A judge reads two answers without names, fenced as data, and says A, B or tie. It never judges an answer of its own, of
the same model elsewhere, or of its family: models favour what they wrote (Panickssery et al. (2024), arXiv:2404.13076).
Both orders count, because place sways verdicts (Zheng et al. (2023), arXiv:2306.05685).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mcp_llm.errors import ConfigError, Error, InvalidInput
from mcp_llm.llm.generate import Ask

from .cost import VERDICT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mcp_llm.catalog.find import Target
    from mcp_llm.llm.routing import Plan
    from mcp_llm.llm.service import Service

    from .asked import Comparison, Contender, Question
    from .result import Result

Vote: TypeAlias = Literal["a", "b", "tie"]

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "description": "what decides it, one or two sentences"},
        "winner": {"type": "string", "enum": ["A", "B", "tie"]},
    },
    "required": ["reason", "winner"],
    "additionalProperties": False,
}
WANTED: Final = 2
"""Judges for each pair, where judges are chosen."""
MOST: Final = 4
_FIRST_WORD: Final = re.compile(r"[a-z]+")
_OWNER: Final = re.compile(r"[a-z]+\.(?=[a-z])")


@dataclass(frozen=True, slots=True)
class Panelist:
    """A judge: the name it was asked by, whom that means, and the pairs of models (by place) that it may judge."""

    name: str
    plan: Plan
    pairs: tuple[tuple[int, int], ...]

    @property
    def target(self) -> Target:
        """Who it is."""
        return self.plan.targets[0]


@dataclass(slots=True)
class Ballot:
    """One judge's votes on one pair of answers: with `a` in the first place, and with `b` there; None where it failed.

    `a` and `b` are the places of the two models in the comparison; votes name models, not places on the paper.
    """

    judge: int
    a: int
    b: int
    prompt: int
    sample: int
    forward: Vote | None = None
    backward: Vote | None = None

    @property
    def score(self) -> int | None:
        """+1 when `a` won in both orders, -1 when `b` did, else 0, a tie; None where an order was not judged."""
        if self.forward is None or self.backward is None:
            return None
        if self.forward != self.backward:
            return 0
        return {"a": 1, "b": -1, "tie": 0}[self.forward]


def kin(target: Target, prefixes: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """What makes two models relatives: the same target, the first word of their ids, or the maker by its prefixes."""
    bare = target.model_id.lower().rpartition("/")[2]
    while owner := _OWNER.match(bare):
        bare = bare[owner.end() :]
    found = {target.name}
    if word := _FIRST_WORD.match(bare):
        found.add(f"family {word[0]}")
    makers = [(len(start), name) for name, starts in prefixes.items() for start in starts if bare.startswith(start)]
    if makers:
        found.add(f"maker {max(makers)[1]}")
    return frozenset(found)


async def panel(service: Service, ask: Comparison, contenders: Sequence[Contender]) -> tuple[list[Panelist], list[str]]:
    """The judges, and the names of the pairs that none of them may judge.

    Raises ConfigError or InvalidInput for a judge that cannot be asked, or named judges none of whom may judge a pair.
    """
    if ask.judge is False or ask.judge == []:
        return [], []
    prefixes = {name: provider.prefixes for name, provider in service.catalog.providers.items()}
    relatives = [kin(one.plan.targets[0], prefixes) if one.plan else None for one in contenders]
    alive = [index for index, found in enumerate(relatives) if found is not None]
    pairs = list(combinations(alive, 2))

    def allowed(target: Target) -> tuple[tuple[int, int], ...]:
        own = kin(target, prefixes)
        return tuple(pair for pair in pairs if not any(own & (relatives[index] or frozenset()) for index in pair))

    named = [ask.judge] if isinstance(ask.judge, str) else ask.judge
    if isinstance(named, bool):
        found = _chosen(
            [(plan, kin(plan.targets[0], prefixes)) for plan in await _candidates(service, ask, contenders)], allowed
        )
    else:
        found = []
        for name in dict.fromkeys(named):
            plan = await service.plan(name, ask.context)
            plan.targets = plan.targets[:1]
            if not ask.dry_run:
                service.access.headers(plan.targets[0].provider_id, plan.targets[0].provider)
            if not any(one.target is plan.targets[0] for one in found):
                found.append(Panelist(name, plan, allowed(plan.targets[0])))
        if pairs and not any(one.pairs for one in found):
            raise InvalidInput(
                f"{', '.join(one.target.name for one in found)} may judge none of these models: in every pair one is a "
                "relative of the judge. Name a judge of another family, or leave `judge` out."
            )
    unjudged = [pair for pair in pairs if not any(pair in one.pairs for one in found)]
    return [one for one in found if one.pairs], [f"{contenders[a].name} and {contenders[b].name}" for a, b in unjudged]


async def _candidates(service: Service, ask: Comparison, contenders: Sequence[Contender]) -> list[Plan]:
    """Who could judge, the preferred first: the balanced models of what can be asked, then the compared ones."""
    found: list[Plan] = []
    for one in await service.available():
        if one.provider_id == "demo":
            continue
        try:
            plan = await service.plan(f"{one.provider_id}:balanced", ask.context)
        except Error:
            continue  # it has no such tier, or may not be asked in this context
        found.append(replace(plan, targets=plan.targets[:1]))
    plans = [one.plan for one in contenders if one.plan is not None]
    if all(plan.targets[0].provider_id == "demo" for plan in plans):
        # No language model, and so no judge of any: only where nothing else is compared either.
        return [*found, await service.plan("demo:judge", ask.context)]
    return [*found, *(plan for plan in plans if plan.targets[0].provider_id != "demo")]


def _chosen(candidates: Sequence[tuple[Plan, frozenset[str]]], allowed: Any) -> list[Panelist]:
    """Greedily the judges that fill most gaps, until each pair has WANTED of them, of a family each."""
    found: list[Panelist] = []
    families: set[str] = set()
    counts: dict[tuple[int, int], int] = {}
    while len(found) < MOST:
        best: tuple[int, Plan, frozenset[str], tuple[tuple[int, int], ...]] | None = None
        for plan, own in candidates:
            if own & families:
                continue
            pairs = allowed(plan.targets[0])
            gain = sum(counts.get(pair, 0) < WANTED for pair in pairs)
            if gain and (best is None or gain > best[0]):
                best = (gain, plan, own, pairs)
        if best is None:
            break
        _, plan, own, pairs = best
        families |= own
        found.append(Panelist(plan.targets[0].name, plan, pairs))
        for pair in pairs:
            counts[pair] = counts.get(pair, 0) + 1
    return found


def ballots(judges: Sequence[Panelist], answered: Iterable[tuple[int, int, int]], samples: int) -> list[Ballot]:
    """A ballot for each judge, pair it may judge, prompt and sample that both models answered.

    `answered` are (place of the model, prompt, sample).
    """
    given = set(answered)
    prompts = sorted({prompt for _, prompt, _ in given})
    return [
        Ballot(judge, a, b, prompt, sample)
        for prompt in prompts
        for sample in range(samples)
        for judge, one in enumerate(judges)
        for a, b in one.pairs
        if (a, prompt, sample) in given and (b, prompt, sample) in given
    ]


def paper(service: Service, ask: Comparison, question: Question, first: Result, second: Result) -> Ask:
    """What a judge is given: the words of prompts/compare.md around the texts, and the question's files."""
    prompt = service.prompts.all().get("compare")
    if prompt is None:
        raise ConfigError("the prompt `compare` is missing: mend or remove compare.md in the config folder's prompts")
    asked = question.text or "(see the attached file)"
    if ask.system:
        asked = f"{ask.system}\n\n{asked}"
    texts = [tamed(text) for text in (asked, first.response, second.response)]
    values = {
        "question": texts[0],
        "answer_a": texts[1].strip() or "(it gave no text)",
        "answer_b": texts[2].strip() or "(it gave no text)",
        "rubric": ask.rubric or "",
        "fence": fence(texts),
    }
    return Ask(
        prompt=[prompt.render(values), *question.media],
        json_schema=SCHEMA,
        max_tokens=VERDICT,
        context=ask.context,
        timeout_s=ask.timeout_s,
        principal=ask.principal,
    )


def fence(texts: Sequence[str]) -> str:
    """A word that is in none of the texts and that no text can foresee: it depends on all of them."""
    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "replace"))
    while (word := digest.hexdigest()[:16]) in "\0".join(texts):
        digest.update(b"again")
    return word


def tamed(text: str) -> str:
    """The text with chat templates' control marks broken up: servers of open models take them for real ones."""
    return text.replace("<|", "<\u200b|").replace("|>", "|\u200b>")


def vote(parsed: Any, *, swapped: bool) -> Vote:
    """The model that a verdict names; `swapped` says that `b` stood in the first place."""
    winner = parsed["winner"]
    if winner == "tie":
        return "tie"
    return "a" if (winner == "A") is not swapped else "b"
