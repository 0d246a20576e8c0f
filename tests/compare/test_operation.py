"""Comparisons from end to end on scripted models: all at once, in order, checked, judged, within the budget."""

from __future__ import annotations

import json
import time
import zlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from faults.server import FaultServer, Reply

from mcp_llm.compare import table
from mcp_llm.compare.asked import Comparison
from mcp_llm.compare.operation import compare
from mcp_llm.errors import ConfigError, InvalidInput, Overloaded, ProviderError
from mcp_llm.llm.progress import Progress

if TYPE_CHECKING:
    from mcp_llm.compare.result import Result
from compare.asking import NAMES, charged, echo, run

pytestmark = pytest.mark.anyio


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
