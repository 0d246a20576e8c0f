"""Comparisons from end to end on scripted models: all at once, in order, checked, judged, within the budget."""

from __future__ import annotations

import json
import time
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from faults.server import FaultServer, Reply

from mcp_llm.compare import table
from mcp_llm.compare.asked import Comparison
from mcp_llm.compare.operation import compare
from mcp_llm.errors import BudgetExceeded, ConfigError, InvalidInput, Overloaded, ProviderError
from mcp_llm.llm.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.compare.result import Compared, Result
    from mcp_llm.llm.service import Service

pytestmark = pytest.mark.anyio

NAMES = ("ash", "beech", "cedar", "elm", "fir", "larch", "oak", "pine")
PRICED = {f"{name}:x": {"input": 1.0, "output": 10.0} for name in NAMES}


def echo(prompt: str, model: str) -> str:
    return f"{model} says {prompt}"


async def run(service: Service, models: list[str], prompt: str | None = "hi", **more: Any) -> Compared:
    with anyio.fail_after(60):
        return await compare(service, Comparison(prompt=prompt, models=models, **more))


async def charged(service: Service) -> list[tuple[str, str, str | None, int]]:
    """(operation, provider, parent run, nano-dollars) of the ledger."""
    found = await service.runs.store.query("SELECT operation, provider, parent_run, charged FROM ledger ORDER BY id")
    return [tuple(row) for row in found]


async def test_eight_models_are_asked_at_once_and_answer_in_the_order_asked(opening: Any) -> None:
    running = most = 0
    everyone = anyio.Event()

    async def wait(prompt: str, model: str) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 8:
            everyone.set()
        await everyone.wait()
        # The last asked is the first to finish.
        for _ in range(20 - NAMES.index(model)):
            await anyio.lowlevel.checkpoint()
        running -= 1
        return f"{model}!"

    landed: list[str] = []

    async def take(result: Result) -> None:
        landed.append(result.model)

    async with opening(**dict.fromkeys(NAMES, wait)) as service:
        models = [f"{name}:{name}" for name in NAMES]
        with anyio.fail_after(60):
            found = await compare(service, Comparison(prompt="hi", models=models), on_result=take)
    assert most == 8
    assert [one.model for one in found.results] == models
    assert [one.response for one in found.results] == [f"{name}!" for name in NAMES]
    assert landed != models
    assert sorted(landed) == sorted(models)


async def test_prompts_models_and_samples_come_in_order_with_generates_fields(opening: Any) -> None:
    async with opening(ash=echo, oak=echo) as service:
        found = await run(service, ["ash:x", "oak:y"], None, prompts=["one", "two"], samples=2)
        rows = await charged(service)
        kept = await service.runs.result(found.results[0].run_id, "local")
        whole = await service.runs.result(found.run_id, "local")
    assert [(one.prompt, one.model, one.sample, one.response) for one in found.results] == [
        (prompt, model, sample, f"{model[-1]} says {text}")
        for prompt, text in enumerate(["one", "two"])
        for model in ("ash:x", "oak:y")
        for sample in (0, 1)
    ]
    first = found.results[0]
    assert (first.provider, first.model_used, first.finish_reason, first.usage.output) == ("ash", "x", "stop", 10)
    assert first.cost.usd is None  # nobody knows the price: it is not nothing
    assert found.cost.usd is None
    assert {(operation, parent) for operation, _, parent, _ in rows} == {("compare", found.run_id)}
    assert kept is not None
    assert kept["result"]["response"] == first.response
    assert whole is not None
    assert whole["kind"] == "compare_models"
    assert whole["result"]["response"] == table.whole(found)
    assert found.verdict is None
    assert found.frontier is None


async def test_one_that_fails_is_its_own_result(opening: Any) -> None:
    async with opening(ash=echo, oak=lambda *_: InvalidInput("no such thing")) as service:
        found = await run(service, ["nowhere", "oak:x", "ash:x"])
    assert [one.error.kind if one.error else None for one in found.results] == ["unknown_model", "invalid_input", None]
    assert found.results[2].response == "x says hi"
    assert [(row.answers, row.failed) for row in found.models] == [(0, 1), (0, 1), (1, 0)]
    assert "--- oak:x · failed ---\nno such thing" in table.whole(found)


async def test_one_that_hangs_is_given_up_at_its_deadline_and_its_socket_closed(opening: Any) -> None:
    with FaultServer([Reply(hang="headers")]) as slow:
        opening.asking.provider("slow", slow.url)
        async with opening(ash=echo) as service:
            found = await run(service, ["ash:x", "slow:m"], timeout_s=0.5)
            ended = time.monotonic()
            assert slow.wait_closed() - ended < 0.25
    assert [one.error.kind if one.error else one.response for one in found.results] == ["x says hi", "timeout"]


async def test_when_all_fail_one_error_says_why_each_did(opening: Any) -> None:
    down = Overloaded("down", retry=False)
    async with opening(ash=lambda *_: down, oak=lambda *_: InvalidInput("odd")) as service:
        with pytest.raises(ProviderError, match=r"none of the 2 models answered.*ash:x: .*down; oak:x: odd"):
            await run(service, ["ash:x", "oak:x"])
        with pytest.raises(ConfigError, match=r"OPENAI_API_KEY is not set"):
            await run(service, ["openai:pro", "nowhere"])
        runs = await service.runs.store.query("SELECT status FROM runs WHERE kind = 'compare_models'")
    assert [row[0] for row in runs] == ["failed", "failed"]


async def test_nobody_stands_in_for_a_model_that_fails(opening: Any) -> None:
    settings = {"contexts": {"c": {"model": "oak:x", "fallbacks": ["oak:x"]}}}
    down = Overloaded("down", retry=False)
    async with opening(settings, ash=lambda *_: down, oak=echo) as service:
        found = await run(service, ["ash:x", "oak:x"], context="c")
    assert [one.error is not None for one in found.results] == [True, False]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"models": ["ash:x"]}, "names 1; a comparison takes 2 to 16"),
        ({"models": [f"ash:{number}" for number in range(17)]}, "names 17; a comparison takes 2 to 16"),
        ({"models": ["ash:x", "ash:x"]}, "names 'ash:x' twice"),
        ({"prompt": ""}, "`prompt` is empty"),
        ({"prompts": ["a"]}, "not both"),
        ({"prompt": None, "prompts": ["a", " "]}, "`prompts[1]` is empty"),
        ({"samples": 0}, "`samples` is 0"),
        ({"samples": 1.5}, "`samples` is 1.5"),
        ({"system": 5}, "`system` has to be text, not int"),
        ({"models": ["ash:x", 3]}, "`models` has to be text, not int"),
        ({"prompt": [3]}, "a prompt has to be text"),
        ({"budget_usd": -1}, "`budget_usd` is -1"),
        ({"max_tokens": 0}, "`max_tokens` is 0"),
        ({"effort": "huge"}, "`effort` is 'huge'"),
        ({"judge": 3}, "`judge` has to be"),
        ({"judge": ["nowhere"]}, "no provider is known"),
        ({"expect": {"equal": 1}}, "has no `equal`"),
        ({"json_schema": {"type": "thing"}}, "json_schema"),
        ({"files": ["/etc/passwd"]}, "outside"),
        ({"samples": 50, "prompt": None, "prompts": ["x"] * 100}, "more than the 4,000"),
    ],
)
async def test_a_mistake_is_told_before_anybody_is_asked(
    opening: Any, scripted: Any, words: dict[str, Any], said: str
) -> None:
    ash = scripted(echo)
    async with opening(ash=ash) as service:
        arguments = {"prompt": "hi", "models": ["ash:x", "ash:y"], **words}
        with pytest.raises((InvalidInput, ConfigError)) as caught:
            await compare(service, Comparison(**arguments))
    assert said in str(caught.value)
    assert ash.asked == []


async def test_checks_give_pass_rates_and_a_verdict(opening: Any) -> None:
    def right(prompt: str, model: str) -> str:
        return str(int(prompt) ** 2)

    async with opening(ash=right, oak=lambda *_: "5") as service:
        found = await run(
            service, ["ash:x", "oak:x"], None, prompts=[str(n) for n in range(12)], expect=[n * n for n in range(12)]
        )
    ash, oak = found.models
    assert ash.passed is not None
    assert oak.passed is not None
    assert (ash.passed.value, oak.passed.value, ash.passed.n) == (1.0, 0.0, 12)
    assert found.verdict is not None
    assert (found.verdict.winner, found.verdict.basis, found.verdict.prompts) == ("ash:x", "checks", 12)
    assert "100% [76-100]" in found.response


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


async def test_schemas_are_parsed_and_compared_as_values(opening: Any) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with opening(ash=lambda *_: '{"n": 1}', oak=lambda *_: '```{"n": 1 }```', elm=lambda *_: "no") as service:
        found = await run(service, ["ash:x", "oak:x", "elm:x"], json_schema=schema, expect={"equals": {"n": 1}})
    assert [one.parsed for one in found.results] == [{"n": 1}, {"n": 1}, None]
    assert found.results[2].error is not None
    assert (found.results[2].error.kind, found.results[2].response) == ("schema_mismatch", "no")
    assert found.agreement is not None
    assert found.agreement.same == 1


async def test_lone_surrogates_reach_nobody(opening: Any, scripted: Any) -> None:
    ash = scripted(lambda *_: "fine")
    async with opening(ash=ash) as service:
        await run(service, ["ash:x", "ash:y"], "a\udc80b")
    assert {prompt for _, prompt in ash.asked} == {"a\ufffdb"}


async def test_files_are_read_once_and_shown_to_all(opening: Any, scripted: Any) -> None:
    trees = {name: scripted(echo) for name in ("ash", "oak")}
    async with opening(**trees) as service:
        await run(service, ["ash:x", "oak:x"], "Read it", files=["data:text/plain,seven"])
    assert all("seven" in tree.asked[0][1] and "Read it" in tree.asked[0][1] for tree in trees.values())


async def test_a_comparison_that_is_gone_on_with_keeps_the_answers_it_has(
    opening: Any, scripted: Any, verdict: Any
) -> None:
    ash, oak, elm = scripted(echo), scripted(echo), scripted(lambda *_: verdict("tie"))
    async with opening(ash=ash, oak=oak, elm=elm) as service:
        asked = Comparison(prompts=["one", "two"], models=["ash:x", "oak:y"], judge="elm:judge")
        first = await compare(service, asked, run_id="r1")
        again = await compare(service, asked, run_id="r1", again=True)
        assert [one.response for one in again.results] == [one.response for one in first.results]
        assert (len(ash.asked), len(elm.asked)) == (2, 4)
        fresh = await compare(service, asked, run_id="r2", again=True)
    assert len(ash.asked) == 4
    assert {one.run_id for one in fresh.results}.isdisjoint(one.run_id for one in first.results)


async def test_cancelling_ends_every_call(opening: Any) -> None:
    begun, ended = 0, 0
    everyone = anyio.Event()

    async def hang(prompt: str, model: str) -> str:
        nonlocal begun, ended
        begun += 1
        if begun == 2:
            everyone.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended += 1
        return ""

    async with opening(ash=hang, oak=hang) as service:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run, service, ["ash:x", "oak:x"])
                await everyone.wait()
                tasks.cancel_scope.cancel()
        runs = await service.runs.store.query("SELECT status FROM runs")
    assert (begun, ended) == (2, 2)
    assert {row[0] for row in runs} == {"cancelled"}


async def test_progress_says_how_far_it_is(opening: Any) -> None:
    progress = Progress()
    async with opening(ash=echo, oak=echo) as service:
        await compare(service, Comparison(prompt="hi", models=["ash:x", "oak:x"]), progress=progress)
    assert progress.line().startswith("2 models · 2/2 answers · ")


async def test_the_demo_can_be_compared_and_judged_without_a_key(opening: Any) -> None:
    async with opening() as service:
        found = await run(service, ["demo", "demo:other"], judge=True)
    assert found.judging is not None
    assert [one.target for one in found.judging.judges] == ["demo:judge"]
    assert found.cost.usd == 0
    assert found.verdict is not None
    assert found.verdict.winner is None


async def test_the_same_model_under_two_names_is_told(opening: Any) -> None:
    async with opening() as service:
        found = await run(service, ["demo", "demo:demo"])
    assert any("are the same model" in words for words in found.warnings)


async def test_long_answers_share_one_replys_room(opening: Any) -> None:
    async with opening(ash=lambda *_: "a" * 100_000, oak=lambda *_: "short", elm=lambda *_: "e" * 90_000) as service:
        found = await run(service, ["ash:x", "oak:y", "elm:z"])
    text = table.fitted(found)
    assert len(text) <= table.SHOWN
    assert len(text) > table.SHOWN * 0.95
    assert "--- oak:y ---\nshort\n" in text
    assert f'runs(action="read", run_id="{found.results[0].run_id}", offset=' in text
    tiny = table.fitted(found, 2000)
    assert len(tiny) < 2200


async def test_the_same_answers_give_the_same_figures(opening: Any) -> None:
    async with opening(
        ash=lambda prompt, _: "x" * (zlib.crc32(prompt.encode()) % 50),
        oak=echo,
        elm=lambda *_: json.dumps({"reason": "", "winner": "B"}),
    ) as service:
        first, second = [
            await run(service, ["ash:x", "oak:y"], None, prompts=[str(n) for n in range(14)], judge="elm:judge")
            for _ in range(2)
        ]
    assert (first.judging, first.pairs, first.verdict) == (second.judging, second.pairs, second.verdict)
