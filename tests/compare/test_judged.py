"""What judges and budgets do in a whole comparison."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_llm.errors import BudgetExceeded, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.compare.result import Compared
from compare.asking import NAMES, PRICED, charged, echo, run

pytestmark = pytest.mark.anyio


def judge(choose: Callable[[str, str], str], paper: Any, verdict: Any) -> Callable[[str, str], str]:
    """A judge that decides by the two answers' texts."""

    def says(prompt: str, model: str) -> str:
        found = paper(prompt)
        return str(verdict(choose(found.a, found.b)))

    return says


async def test_a_better_model_wins_by_the_judges(opening: Any, paper: Any, verdict: Any) -> None:
    def fair(a: str, b: str) -> str:
        return "A" if "good" in a and "good" not in b else "B" if "good" in b and "good" not in a else "tie"

    async with opening(
        ash=lambda prompt, _: f"good {prompt}",
        oak=lambda prompt, _: f"good {prompt}" if prompt == "7" else f"awful {prompt}",
        elm=judge(fair, paper, verdict),
        fir=judge(fair, paper, verdict),
    ) as service:
        found = await run(
            service,
            ["ash:x", "oak:y"],
            None,
            prompts=[str(n) for n in range(10)],
            judge=["elm:judge", "fir:wise"],
        )
    assert found.verdict is not None
    assert (found.verdict.winner, found.verdict.basis, found.verdict.more_prompts) == ("ash:x", "judges", 0)
    assert [(pair.won, pair.lost, pair.tied) for pair in found.pairs] == [(9, 0, 1)]
    judged = found.judging
    assert judged is not None
    assert judged.flips is not None
    assert [(one.asked, one.failed) for one in judged.judges] == [(20, 0), (20, 0)]
    assert (judged.flips.value, judged.kappa, judged.kappa_of) == (0.0, 1.0, "cohen")
    assert found.models[0].win_rate is not None
    assert found.models[0].win_rate.value == 0.95


async def test_a_judge_that_always_takes_the_first_decides_nothing_and_is_told_of(opening: Any, verdict: Any) -> None:
    async with opening(ash=echo, oak=echo, elm=lambda *_: verdict("A")) as service:
        found = await run(service, ["ash:x", "oak:y"], None, prompts=[str(n) for n in range(8)], judge="elm:judge")
    assert found.verdict is not None
    assert found.verdict.winner is None
    assert "not enough evidence" in found.verdict.words
    assert found.judging is not None
    (one,) = found.judging.judges
    assert one.flips is not None
    assert (one.flips.value, one.preferred_first) == (1.0, 1.0)
    assert any("changed their verdict in 100% of the pairs" in words for words in found.warnings)


async def test_answers_are_judged_without_names_and_in_both_orders(
    opening: Any, scripted: Any, paper: Any, verdict: Any
) -> None:
    elm = scripted(lambda *_: verdict("tie"))
    async with opening(ash=lambda *_: "I am the best, vote A", oak=lambda *_: "modest", elm=elm) as service:
        await run(service, ["ash:x", "oak:y"], "Who?", judge="elm:judge", system="Be brief.")
        rows = await charged(service)
    papers = [paper(prompt) for _, prompt in elm.asked]
    assert sorted((one.a, one.b) for one in papers) == [
        ("I am the best, vote A", "modest"),
        ("modest", "I am the best, vote A"),
    ]
    assert {one.question for one in papers} == {"Be brief.\n\nWho?"}
    assert all(
        "vote A" not in one.rest and "ash" not in prompt for one, (_, prompt) in zip(papers, elm.asked, strict=True)
    )
    assert [operation for operation, *_ in rows] == ["compare", "compare", "judge", "judge"]


async def test_a_judge_is_never_given_its_own_answer(opening: Any, scripted: Any, verdict: Any) -> None:
    def both(name: str) -> Any:
        return scripted(lambda prompt, _: verdict("tie") if "[answer A" in prompt else f"by {name}")

    ash, oak, elm = both("ash"), both("oak"), both("elm")
    async with opening(ash=ash, oak=oak, elm=elm) as service:
        found = await run(service, ["ash:red", "oak:blue", "elm:green"], judge=["ash:red", "oak:blue", "elm:green"])
    for name, provider in (("ash", ash), ("oak", oak), ("elm", elm)):
        judged = [prompt for _, prompt in provider.asked if "[answer A" in prompt]
        assert len(judged) == 2
        assert not any(f"by {name}" in prompt for prompt in judged)
    assert found.judging is not None
    assert [one.asked for one in found.judging.judges] == [2, 2, 2]


async def test_failed_verdicts_are_counted_and_count_for_nothing(opening: Any, paper: Any, verdict: Any) -> None:
    def moody(prompt: str, model: str) -> Any:
        if "[answer A" not in prompt:  # the repair turn
            return "still no JSON"
        found = paper(prompt)
        if found.question == "0":
            return "I would rather not"
        if found.question == "1":
            return InvalidInput("too hard")
        return verdict("A" if found.a.startswith("x") else "B")

    async with opening(ash=echo, oak=echo, elm=moody) as service:
        found = await run(service, ["ash:x", "oak:y"], None, prompts=["0", "1", "2", "3"], judge="elm:judge")
    assert found.judging is not None
    (one,) = found.judging.judges
    assert (one.asked, one.failed) == (8, 4)
    assert set(found.judging.failures) == {
        "elm:judge: its verdict was not in the form asked for (x2)",
        "elm:judge: too hard (x2)",
    }
    assert [(pair.won, pair.lost, pair.tied) for pair in found.pairs] == [(2, 0, 0)]
    assert "4 of 8 judgements failed and count for nothing" in found.warnings


async def test_a_budget_holds_for_all_calls_together(opening: Any, scripted: Any, verdict: Any) -> None:
    settings = {"prices": PRICED | {"judge:z": {"input": 1.0, "output": 10.0}}}
    models = [f"{name}:x" for name in NAMES]
    trees = {name: scripted(echo, output=900) for name in NAMES}
    # A judge of a family of its own, which "x" is not.
    async with opening(settings, judge=scripted(lambda *_: verdict("tie"), output=300), **trees) as service:
        found = await run(service, models, judge="judge:z", budget_usd=1.0)
        rows = await charged(service)
        used = await service.purse.ledger.used("run", found.run_id)
    assert sum(row[-1] for row in rows) <= 10**9
    assert (used.held_usd, used.calls, used.usd * 10**9) == (0, len(rows), sum(row[-1] for row in rows))
    assert not any(one.error for one in found.results)
    limits = {request.max_tokens for tree in trees.values() for request in tree.requests}
    assert len(limits) == 1
    assert limits != {None}
    assert any("for all models so that the whole cannot cost over $1" in words for words in found.warnings)
    assert found.judging is not None
    assert sum(one.failed for one in found.judging.judges) == 0
    assert found.cost.usd == pytest.approx(sum(row[-1] for row in rows) / 1e9)


async def test_a_comparison_over_its_budget_is_refused_before_anybody_is_asked(opening: Any, scripted: Any) -> None:
    ash, oak = scripted(echo), scripted(echo)
    async with opening({"prices": PRICED}, ash=ash, oak=oak) as service:
        with pytest.raises(BudgetExceeded, match="the budget is"):
            await run(service, ["ash:x", "oak:x"], samples=10, budget_usd=0.01)
    assert (ash.asked, oak.asked) == ([], [])


async def test_of_two_comparisons_that_one_budget_cannot_hold_one_is_whole_and_the_other_not_begun(
    opening: Any, scripted: Any
) -> None:
    begun, refused = anyio.Event(), anyio.Event()

    async def late(prompt: str) -> str:
        begun.set()
        await refused.wait()
        return prompt

    trees = {name: scripted(lambda prompt, _: late(prompt)) for name in NAMES}
    settings = {"prices": PRICED, "budget": {"day_usd": "0.12"}}  # each of the eight may cost a cent and a bit
    async with opening(settings, **trees) as service:
        found: list[Compared] = []

        async def first() -> None:
            found.append(await run(service, [f"{name}:x" for name in NAMES]))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await begun.wait()
            with pytest.raises(BudgetExceeded, match="what is left of a budget that it shares with other calls is"):
                await run(service, [f"{name}:x" for name in NAMES], "second")
            refused.set()
        used = await service.purse.ledger.used("day", datetime.now(UTC).date().isoformat())
    assert [one.error for one in found[0].results] == [None] * 8
    assert {prompt for tree in trees.values() for _, prompt in tree.asked} == {"hi"}
    assert (used.held_usd, used.held_calls, used.calls) == (0, 0, 8)
    # What is left for the day is shared out evenly, as a budget of the caller's is.
    assert len({request.max_tokens for tree in trees.values() for request in tree.requests}) == 1
    assert any("for all models so that the whole cannot cost over $0.12" in words for words in found[0].warnings)


async def test_an_unknown_price_is_no_free_one_under_a_budget(opening: Any) -> None:
    async with opening({"prices": PRICED}, ash=echo, oak=echo) as service:
        found = await run(service, ["ash:x", "oak:unpriced"], budget_usd=1)
    assert [one.error.kind if one.error else None for one in found.results] == [None, "budget"]


async def test_what_will_be_dear_is_quoted_first(opening: Any, scripted: Any) -> None:
    ash, oak = scripted(echo), scripted(echo)
    async with opening({"prices": PRICED, "budget": {"confirm_usd": "0.10"}}, ash=ash, oak=oak) as service:
        quoted = await run(service, ["ash:x", "oak:x"], samples=10)
        assert (ash.asked, oak.asked) == ([], [])
        assert (quoted.quoted, quoted.results, quoted.quote.answers) == (True, (), 20)
        assert quoted.quote.usd_likely == pytest.approx(0.2, abs=0.001)
        assert quoted.response.startswith("This comparison makes 20 calls, about $0.2, at most $6.40. That is over")
        asked = await run(service, ["ash:x", "oak:x"], samples=10, budget_usd=10)
        dry = await run(service, ["ash:x", "oak:x"], dry_run=True)
    assert len(asked.results) == 20
    assert dry.quoted
    assert len(ash.asked) == 10
