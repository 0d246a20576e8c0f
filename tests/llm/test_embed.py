"""Embedding from the call to the ledger: batches, order, failures on the way, money."""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from faults.server import FaultServer, Reply

from mcp_llm.errors import (
    BadRequest,
    BudgetExceeded,
    Garbled,
    InvalidInput,
    ProviderError,
    TooLarge,
    Unsupported,
)
from mcp_llm.llm.embed import embed
from mcp_llm.llm.image import generate_image
from mcp_llm.types.embed import EmbedRequest, Vectors

if TYPE_CHECKING:
    from faults.asking import Asking

    from mcp_llm.types.embed import Embedded

pytestmark = pytest.mark.anyio

PRICED = """
[models.m]
kind = "embed"
price = { input = 1, output = 0, source = "test", checked = 2026-01-01 }
"""


def vectors(*numbers: float, tokens: int = 3, first: int = 0) -> Reply:
    rows = [{"index": at, "embedding": [number, 1.0]} for at, number in enumerate(numbers, first)]
    body = {"data": rows[::-1], "model": "m-1", "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return Reply(body=json.dumps(body).encode())


def small(texts: int) -> str:
    return f'{PRICED}quirks = {{ max_inputs = {texts}, encoding = "null" }}\n'


def numbers(made: Embedded) -> list[float]:
    return [vector[0] for vector in made.embeddings]


def asked(server: FaultServer) -> list[Any]:
    return [json.loads(one.body)["input"] for one in server.requests]


async def ledger(asking_service: Any) -> list[tuple[Any, ...]]:
    rows = await asking_service.runs.store.query(
        "SELECT operation, outcome, input, usd, model_used FROM ledger ORDER BY id"
    )
    return [tuple(row) for row in rows]


async def test_the_order_is_that_of_the_texts_and_the_row_says_what_it_cost(asking: Asking) -> None:
    with FaultServer([vectors(1.0, 2.0, 3.0, tokens=7)]) as server:
        model = asking.provider("acme", server.url, PRICED)
        async with asking.open() as service:
            made = await embed(service, ["a", "b", "c"], model=model, dimensions=2)
            assert numbers(made) == [1.0, 2.0, 3.0]
            assert (made.model, made.model_used, made.provider, made.count) == (model, "m-1", "acme", 3)
            assert (made.usage.input, made.usage.output, made.usage.estimated) == (7, 0, False)
            assert made.cost.usd == pytest.approx(7e-6)
            assert await ledger(service) == [("embed", "ok", 7, 7000, "m-1")]
            kept = await service.runs.result(made.run_id, "local")
            assert kept is not None
            assert (kept["kind"], kept["status"], kept["result"]["dimensions"]) == ("embed", "finished", 2)
            assert "embeddings" not in kept["result"]
        body = json.loads(server.requests[0].body)
    assert body == {"model": "m", "input": ["a", "b", "c"], "dimensions": 2, "encoding_format": "base64"}


async def test_a_provider_that_was_moved_embeds_where_it_is_and_no_vendor_gets_the_gateways_key(asking: Asking) -> None:
    with FaultServer(scripts={"vendor": [], "gateway": [vectors(1.0)]}) as server:
        elsewhere = f'base_urls = {{ embed = "{server.url}/vendor/v1" }}\n'
        model = asking.provider("acme", f"{server.url}/vendor", f"{elsewhere}{PRICED}")
        asking.environment["ACME_BASE_URL"] = f"{server.url}/gateway"
        async with asking.open() as service:
            assert numbers(await embed(service, ["a"], model=model)) == [1.0]
    assert [request.target for request in server.requests] == ["/gateway/embeddings"]


async def test_many_texts_are_several_requests_within_the_vendors_limits(asking: Asking) -> None:
    with FaultServer([vectors(1.0, 2.0)]) as server:
        model = asking.provider("acme", server.url, small(2))
        async with asking.open() as service:
            made = await embed(service, [f"t{at}" for at in range(12)], model=model)
            assert numbers(made) == [1.0, 2.0] * 6
            assert made.usage.input == 18
        assert sorted(asked(server)) == sorted([f"t{at}", f"t{at + 1}"] for at in range(0, 12, 2))


async def test_only_the_request_that_failed_is_made_again(asking: Asking) -> None:
    with FaultServer([vectors(1.0), Reply(status=503), vectors(1.0)]) as server:
        model = asking.provider("acme", server.url, small(1))
        async with asking.open() as service:
            await embed(service, ["a", "b"], model=model)
        assert len(server.requests) == 3


async def test_what_had_come_before_a_failure_is_kept_and_not_paid_twice(asking: Asking) -> None:
    bad = Reply(status=400, body=b'{"error": {"message": "text 3 is not allowed"}}')
    texts = ["a", "b", "c"]
    with FaultServer([vectors(1.0), bad, bad, vectors(8.0), vectors(9.0)]) as server:
        model = asking.provider("acme", server.url, small(1))
        async with asking.open(max_calls=10) as service:
            with pytest.raises(BadRequest, match=r"1 of 3 vectors had come and are kept: .*continue_from='") as caught:
                await embed(service, texts, model=model)
            sha256 = str(caught.value).rpartition("continue_from='")[2].partition("'")[0]
            first = len(server.requests)
            with pytest.raises(InvalidInput, match="other texts"):
                await embed(service, ["a", "b", "d"], model=model, continue_from=sha256)
            with pytest.raises(InvalidInput, match="no artifact"):
                await embed(service, texts, model=model, continue_from="f" * 64)
            assert len(server.requests) == first
            done = await embed(service, texts, model=model, continue_from=sha256)
            assert sorted(numbers(done)) == [1.0, 8.0, 9.0]
            assert len(server.requests) == first + 2


async def test_fewer_vectors_than_texts_is_no_result(asking: Asking) -> None:
    with FaultServer([vectors(1.0, 2.0)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            with pytest.raises(Garbled, match="2 vectors came for 3 texts"):
                await embed(service, ["a", "b", "c"], model=model)


@pytest.mark.parametrize(
    ("texts", "error", "words"),
    [
        ([], InvalidInput, "nothing to embed"),
        ("", InvalidInput, "text 0 is empty"),
        (["a", " \n"], InvalidInput, "text 1 is empty"),
        (["a", 3], InvalidInput, "text 1 is a int"),
        (["x"] * 100_001, TooLarge, "at most 100,000"),
    ],
)
async def test_what_cannot_be_embedded_is_said_before_anything_is_sent(
    asking: Asking, texts: Any, error: type[Exception], words: str
) -> None:
    with FaultServer([vectors(1.0)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            with pytest.raises(error, match=words):
                await embed(service, texts, model=model)
        assert server.requests == []


async def test_a_field_that_a_model_refuses_is_left_out_only_where_it_changes_no_vector(asking: Asking) -> None:
    def refusal(param: str) -> Reply:
        error = {"message": f"Unknown parameter: '{param}'", "param": param}
        return Reply(status=400, body=json.dumps({"error": error}).encode())

    voyage = '[quirks.embed]\ninput_type_field = "input_type"\n'
    with FaultServer([refusal("input_type"), vectors(1.0), refusal("dimensions")]) as server:
        model = asking.provider("acme", server.url, voyage)
        async with asking.open() as service:
            made = await embed(service, "a", model=model, input_type="query")
            assert made.warnings[0] == "`input_type` was refused by acme:m; asked again without it"
            with pytest.raises(BadRequest, match="dimensions"):
                await embed(service, "a", model=model, dimensions=7)


async def test_a_budget_is_held_before_the_call(asking: Asking) -> None:
    with FaultServer([vectors(1.0, tokens=2)]) as server:
        model = asking.provider("acme", server.url, PRICED)
        asking.provider("other", server.url)
        async with asking.open() as service:
            with pytest.raises(BudgetExceeded, match=r"may cost \$0\.001008 on acme:m, the budget has \$0\.0005 left"):
                await embed(service, "x" * 1000, model=model, budget_usd=0.0005)
            with pytest.raises(BudgetExceeded, match="price of other:m is not known"):
                await embed(service, "x", model="other:m", budget_usd=1)
            with pytest.raises(InvalidInput, match="under a budget `options` may not set input"):
                await embed(service, "x", model=model, budget_usd=1, options={"input": ["y"] * 9})
            assert server.requests == []
            made = await embed(service, "x" * 1000, model=model, budget_usd=0.001008)
            assert made.cost.usd == pytest.approx(2e-6)


async def test_an_unknown_price_is_unknown(asking: Asking) -> None:
    with FaultServer([vectors(1.0)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            made = await embed(service, "x", model=model)
            assert made.cost.usd is None
            assert any("no price is known for acme:m" in words for words in made.warnings)


async def test_no_vectors_of_another_model_stand_in(asking: Asking) -> None:
    with FaultServer(scripts={"a": [Reply(status=500)], "b": [vectors(1.0)]}) as server:
        asking.provider("alpha", f"{server.url}/a", '[defaults]\nembed = "m"\n[models.m]\nkind = "embed"\n')
        asking.provider("beta", f"{server.url}/b", '[defaults]\nembed = "m"\n[models.m]\nkind = "embed"\n')
        async with asking.open(prefer=("alpha", "beta")) as service:
            with pytest.raises(ProviderError, match="alpha:m"):
                await embed(service, "x")
        assert server.count("b") == 0


async def test_without_a_key_the_demo_embeds_and_says_so(asking: Asking) -> None:
    async with asking.open() as service:
        made = await embed(service, ["red fish", "blue fish", "tax return"])

        def near(one: int, other: int) -> float:
            return float(sum(a * b for a, b in zip(made.embeddings[one], made.embeddings[other], strict=True)))

        assert near(0, 1) > near(0, 2)
        assert made.provider == "demo"
        assert any("no model" in words for words in made.warnings)


async def test_a_context_that_stays_on_this_machine_asks_no_cloud(asking: Asking) -> None:
    async with asking.open(contexts={"diary.*": {"model": "demo", "local_only": True}}) as service:
        with pytest.raises(InvalidInput, match="local_only"):
            await embed(service, "x", model="openai", context="diary.index")
        assert (await embed(service, "x", model="demo", context="diary.index")).provider == "demo"


async def test_cancelling_closes_the_socket_and_leaves_a_row(asking: Asking) -> None:
    with FaultServer([Reply(hang="headers")]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            with anyio.move_on_after(10) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(lambda: embed(service, "x", model=model))
                    await anyio.to_thread.run_sync(server.wait_request)
                    tasks.cancel_scope.cancel()
            assert not scope.cancelled_caught
            await anyio.to_thread.run_sync(server.wait_closed)
            assert [(row[0], row[1]) for row in await ledger(service)] == [("embed", "cancelled")]


async def test_many_vectors_are_several_files_that_a_host_can_read(asking: Asking) -> None:
    async with asking.open() as service:
        made = await embed(service, [f"text {at}" for at in range(9000)], model="demo", dimensions=512, keep=True)
        assert len(made.files) > 1
        found: list[Any] = []
        for one in made.files:
            assert one.size < 32 * 1024 * 1024
            data = json.loads(await anyio.Path(one.path or "").read_bytes())
            assert data["first"] == len(found)
            found += data["embeddings"]
    assert found == [vector.tolist() for vector in made.embeddings]


@pytest.mark.parametrize(("dimensions", "words"), [(0, "`dimensions`"), (10**9, "65,?536"), (65_536, "at most 4,096")])
async def test_vectors_longer_than_any_are_refused_before_one_is_made(
    asking: Asking, dimensions: int, words: str
) -> None:
    async with asking.open() as service:
        with pytest.raises(InvalidInput, match=words):
            await embed(service, "a", model="demo", dimensions=dimensions)


async def test_the_time_of_a_call_is_that_of_all_its_requests(asking: Asking) -> None:
    with FaultServer([vectors(1.0), Reply(hang="headers")]) as server:
        model = asking.provider("acme", server.url, small(1))
        async with asking.open() as service:
            with pytest.raises(ProviderError, match=r"total deadline|`timeout_s`"), anyio.fail_after(10):
                await embed(service, ["a", "b", "c", "d", "e", "f"], model=model, timeout_s=0.5)
        assert len(server.requests) <= 5


class Lengths:
    """Somebody's own model: how long a text is."""

    async def completion(self, prompt: str, model: str) -> str:
        return "nobody talks to it"

    async def embed(self, request: EmbedRequest, model: str) -> Vectors:
        if request.texts == ("boom",):
            raise RuntimeError("secret words")
        return Vectors([array("d", [len(text)]) for text in request.texts], model=model)


async def test_a_provider_in_code_may_embed_too(asking: Asking) -> None:
    async with asking.open() as service:
        service.register("mine", Lengths())
        made = await embed(service, ["a", "bcd"], model="mine:lengths")
        assert [vector.tolist() for vector in made.embeddings] == [[1.0], [3.0]]
        assert (made.provider, made.model_used, made.usage.estimated) == ("mine", "lengths", True)
        with pytest.raises(ProviderError, match="code failed with RuntimeError") as caught:
            await embed(service, "boom", model="mine:lengths")
        assert "secret words" not in str(caught.value)
        with pytest.raises(Unsupported, match="mine does not do image"):
            await generate_image(service, "x", model="mine:lengths")


async def test_what_had_come_before_the_budget_was_used_up_is_kept(asking: Asking) -> None:
    texts = [letter * 100_000 for letter in "abcdef"]
    with FaultServer([vectors(1.0, tokens=100_000)]) as server:
        model = asking.provider("acme", server.url, small(1))
        async with asking.open() as service:
            with pytest.raises(BudgetExceeded, match=r"\. [1-5] of 6 vectors had come and are kept") as caught:
                await embed(service, texts, model=model, budget_usd=0.55)
            sha256 = str(caught.value).rpartition("continue_from='")[2].partition("'")[0]
            first = len(server.requests)
            made = await embed(service, texts, model=model, continue_from=sha256)
    assert made.count == 6
    assert (first < 6, len(server.requests)) == (True, 6)


async def test_code_that_gives_fewer_vectors_than_texts_is_told_as_garbled(asking: Asking) -> None:
    class Short:
        async def generate(self, messages: Any, model: str, settings: Any) -> str:
            return ""

        async def embed(self, request: EmbedRequest, model: str) -> Vectors:
            return Vectors([array("d", [1.0])])

    async with asking.open() as service:
        service.register("mine", Short())
        with pytest.raises(Garbled, match="1 vectors came for 2 texts"):
            await embed(service, ["a", "b"], model="mine:x")
