"""What a caller may pass to a tool: lines of the corpus, played through the SDK's client and the real server."""

from __future__ import annotations

import base64
import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from abuse.calling import Tripwire, calling, said
from abuse.corpus import case, expand
from faults.replies import ok
from faults.server import Reply
from server.test_stdio import Process

from mcp_llm.catalog.globs import matches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli.conftest import Run

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)


def given(name: str) -> Any:
    """The arguments of a line."""
    return expand(case(name).input)


def told(reply: Any) -> str:
    """The words of a raw JSON-RPC answer: of its error, or of its result."""
    if "error" in reply:
        return str(reply["error"]["message"])
    return str(reply["result"]["content"][0]["text"])


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """The server in a process of its own, spoken to in raw lines."""
    started = Process(tmp_path)
    yield started
    started.popen.send_signal(signal.SIGTERM)
    code, _, err = started.end()
    assert (code, b"Traceback" in err) == (0, False)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("GEN-001", "the argument `prompt` is missing"),
        ("GEN-002", "`prompt` is empty"),
        ("GEN-003", "`prompt` is empty"),
        ("GEN-015", "control characters"),
        ("GEN-018", "there is no argument `extra_headers`"),
        ("GEN-019", "there is no argument `api_key`"),
    ],
)
async def test_what_cannot_be_asked_is_told_and_costs_nothing(home: Path, name: str, words: str) -> None:
    async with calling(home, [OK]) as caller:
        refusal = await caller.refused("generate", given(name))
        assert words in refusal
        assert "sk-caller" not in refusal
        # Nothing is left behind that would disturb the next call.
        assert (await caller.answered("generate", {"prompt": "hi"}))["response"] == "Hello there"


async def test_half_a_surrogate_pair_becomes_one_replacement_character(home: Path) -> None:
    async with calling(home, [OK]) as caller:
        await caller.answered("generate", given("GEN-010"))
        agent = await caller.answered("run_agent", {**given("GEN-010"), "servers": []})
        assert [body["messages"][-1]["content"] for body in caller.bodies()] == ["x\ufffdy"] * 2
        events: Any = await caller.client.read_resource(f"runs://{agent['run_id']}/events")
        assert json.loads(events.contents[0].text.split("\n")[0])["prompt"] == "x\ufffdy"
        shown = await caller.call("generate", {"prompt": "hi", "model": "acme:\ud800"})
        assert said(shown).encode()


def test_half_a_surrogate_pair_gets_through_stdio(process: Process) -> None:
    process.call(1, "generate", **given("GEN-010"), model="demo")  # escaped, as JSON has it
    assert "x\ufffdy" in told(process.receive())


@pytest.mark.parametrize("name", ["GEN-011", "GEN-012"])
async def test_odd_characters_reach_the_model_as_they_are_and_no_log_or_terminal(
    home: Path, run: Run, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    prompt = given(name)["prompt"]
    lines: list[str] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        lines.append(message or "")

    async with calling(home, [OK, ok("openai")]) as caller:
        await caller.client.call_tool("generate", {"prompt": prompt}, progress_callback=progress)
        assert prompt.encode() in caller.upstream.requests[0].body
        agent = await caller.answered("run_agent", {"prompt": prompt, "servers": []})
        assert prompt in [message["content"] for message in caller.bodies()[1]["messages"]]
    assert all(line.isprintable() for line in lines)
    logged = "".join(capfd.readouterr())
    recorded = home / "run.jsonl"
    done = run("runs", "record", agent["run_id"], "--output", str(recorded))
    assert done.returncode == 0, done.stderr
    # A line is a line for those too who take U+0085, U+2028 and U+2029 for the end of one.
    whole = recorded.read_text(encoding="utf-8")
    assert whole.splitlines() == whole.removesuffix("\n").split("\n")
    events = [json.loads(line) for line in whole.splitlines()]
    assert [event["prompt"] for event in events if event.get("event") == "start"] == [prompt]
    shown = run("runs", "list")
    for text in (logged, done.stderr, shown.stderr):
        assert all(char.isprintable() or char in "\n\t" for char in text)


@pytest.mark.parametrize(("price", "budget"), [(None, None), (10, 0.001)])
async def test_more_tokens_than_a_model_writes_are_lowered_with_a_note(
    home: Path, price: float | None, budget: float | None
) -> None:
    """What is held of a budget is the lowered number's worst case."""
    table: dict[str, Any] = {"models": {"m": {"output": 4096}}}
    prices = {} if price is None else {"prices": {"acme:m": {"input": price, "output": price}}}
    async with calling(home, [OK], provider=table, **prices) as caller:
        answer = await caller.answered("generate", {"prompt": "hi", "max_tokens": 1_000_000, "budget_usd": budget})
        sent = caller.bodies()[0]["max_tokens"]
    assert "`max_tokens` was lowered to 4096, the most acme:m writes" in answer["warnings"]
    if price is None:
        assert sent == 4096
    else:  # the dearest answer that is still within the budget
        assert 0 < sent * price / 1e6 <= 0.001


async def test_a_number_of_tokens_that_is_none_is_refused(home: Path) -> None:
    async with calling(home, [OK]) as caller:
        assert "`max_tokens` is 9223372036854775808" in await caller.refused("generate", given("GEN-024"))
        assert "`max_tokens`" in await caller.refused("generate", {"prompt": "hi", "max_tokens": 10**400})


async def test_no_time_limit_is_longer_than_the_settings(home: Path) -> None:
    silent = Reply(hang="headers")
    quick = {"connect": 2, "first_byte": 60, "idle": 60, "total": 0.4}
    async with calling(home, [silent], timeouts=quick, retries={"attempts": 1}) as caller:
        result = await caller.call("generate", given("GEN-027"))
    assert result.is_error
    assert "the call was not finished within 0." in said(result)


async def test_silence_ends_at_the_callers_deadline_with_the_socket_closed_and_one_row(home: Path) -> None:
    async with calling(home, [Reply(hang="headers")]) as caller:
        started = time.monotonic()
        result = await caller.call("generate", given("GEN-028"))
        ended = time.monotonic()
        assert result.is_error
        assert "the call was not finished within" in said(result)
        assert "`timeout_s`" in said(result)
        assert ended - started >= 1  # how late it may be is measured by G6 and the goals, not on a busy machine
        assert caller.upstream.wait_closed() - ended < 0.25
        assert await caller.ledger() == [("timeout", None)]
        assert len(caller.upstream.requests) == 1


async def test_a_schema_that_points_to_a_network_is_refused_and_not_followed(home: Path) -> None:
    with Tripwire() as url:
        asked = given("GEN-029")
        asked["json_schema"]["$ref"] = f"{url}/s.json"
        async with calling(home, [OK]) as caller:
            assert "nothing is fetched" in await caller.refused("generate", asked)


def test_a_schema_of_two_thousand_levels_is_refused_as_a_line(process: Process) -> None:
    """Neither the SDK's client nor Python's own encoder can even write it."""
    what, times = case("GEN-030").input["json_schema"]["$nest"]
    before, _, after = json.dumps(what).partition('"$INNER"')
    schema = before * times + "{}" + after * times
    asked = {"name": "generate", "arguments": {"prompt": "hi", "model": "demo", "json_schema": "SCHEMA"}}
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked})
    process.raw(line.replace('"SCHEMA"', schema).encode() + b"\n")
    assert "nested too deep" in told(process.receive())
    process.call(2, "generate", prompt="hi", model="demo")
    assert "built-in demo" in told(process.receive())


@pytest.mark.parametrize("size", [65, 300 * 1024])
async def test_a_schema_that_is_too_deep_or_too_big_is_refused(home: Path, size: int) -> None:
    deep: Any = {"type": "string"}
    for _ in range(65):
        deep = {"type": "object", "properties": {"a": deep}}
    schema = deep if size == 65 else {"description": "x" * size}
    async with calling(home, [OK]) as caller:
        refusal = await caller.refused("generate", {"prompt": "hi", "json_schema": schema})
    assert ("64 levels" if size == 65 else "262144") in refusal


async def test_a_pattern_that_may_take_for_ever_is_not_run_and_that_is_said(home: Path) -> None:
    from toolsets.hostile import measured

    text = case("GEN-031").fault["upstream"]["text"]
    async with calling(home, [ok("openai", stream=True, text=text)]) as caller, measured() as cost:
        answer = await caller.answered("generate", given("GEN-031"))
    assert answer["parsed"] == json.loads(text)
    assert any("was skipped: it may be too slow" in warning for warning in answer["warnings"])
    assert cost.stall < 0.25


async def test_a_refusal_for_its_content_is_told_as_it_is_and_not_repeated(home: Path) -> None:
    (played,) = case("GEN-032").fault["script"]
    async with calling(home, [Reply(status=played["status"], body=json.dumps(played["json"]).encode()), OK]) as caller:
        result = await caller.call("generate", given("GEN-032"))
        assert result.is_error
        assert "no" in said(result)
        assert await caller.ledger() == [("refused", None)]
        assert len(caller.upstream.requests) == 1


async def test_a_context_is_data_cut_and_escaped_where_it_is_kept(home: Path, run: Run) -> None:
    context = given("GEN-033")["context"]
    async with calling(home, [OK]) as caller:
        await caller.answered("generate", given("GEN-033"))
        assert b"xxxxx" not in caller.upstream.requests[0].body
        ((_, kept),) = await caller.ledger()
        assert kept is not None
        assert kept == f"{context[:256]}".replace("\n", "\\n")[:256]
        read: Any = await caller.client.read_resource("usage://?by=context")
        assert [row["key"] for row in json.loads(read.contents[0].text)["rows"]] == [kept]
    shown = run("usage", "--by", "context").stdout.splitlines()
    assert [line for line in shown if "cost" in line and "-100" in line] == [
        line for line in shown if line.startswith("a\\n{")
    ]
    assert len([line for line in shown if line.startswith("a\\n{")]) == 1


async def test_marks_of_a_pattern_are_only_letters_in_a_context(home: Path) -> None:
    context = given("GEN-034")["context"]
    contexts = {"[n]ote?.*": "acme:notes", "*[*[*": "acme:marks"}
    asked = {context: "marks", "notes.x": "m", "[n]ote?.x": "notes", "*": "m"}
    async with calling(home, [OK], contexts=contexts, provider={"models": {"notes": {}, "marks": {}}}) as caller:
        for words, model in asked.items():
            await caller.answered("generate", {"prompt": "hi", "context": words})
            assert caller.bodies()[-1]["model"] == model
    # Linear: a matcher that goes back would never come to an end here.
    assert not matches("*[*" * 10_000 + "x", "*[" * 32_768)


@pytest.mark.parametrize("name", ["EMB-001"])
async def test_nothing_to_embed_is_told(home: Path, name: str) -> None:
    async with calling(home, [OK]) as caller:
        assert "nothing to embed" in await caller.refused("embed", given(name))


async def test_a_hundred_thousand_texts_are_embedded_in_their_order(home: Path) -> None:
    """The line's text so often, as many requests as the vendor's limit makes of it."""
    each, many = 2000, 100_000
    texts = [*given("EMB-002")["input"]]
    assert len(texts) == many
    rows = [{"index": at, "embedding": [float(at)]} for at in range(each)]
    body = {"data": rows[::-1], "usage": {"prompt_tokens": each, "total_tokens": each}}
    quirks = {"quirks": {"embed": {"max_inputs": each}}}
    async with calling(home, [Reply(body=json.dumps(body).encode())], provider=quirks) as caller:
        assert "at most 100,000" in await caller.refused("embed", {"input": [*texts, "x"]})
        made = await caller.answered("embed", {"input": texts})
        assert (made["count"], made["usage"]["input"]) == (many, many)
        assert len(caller.upstream.requests) == many // each
        kept = []
        for file in made["files"]:
            with caller.app.artifacts.open(file["sha256"]) as opened:
                kept.append(json.load(opened))
    vectors = [vector for file in kept for vector in file["embeddings"]]
    assert vectors == [[float(at)] for at in range(each)] * (many // each)
    one = {"data": rows[:1], "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    async with calling(home, [Reply(body=json.dumps(one).encode())]) as caller:
        await caller.answered("embed", given("EMB-002"))  # and as one text it is sent whole
        assert caller.bodies() == [{"model": "m", "input": ["x" * many], "encoding_format": "base64"}]


async def test_fewer_vectors_than_texts_are_no_result(home: Path) -> None:
    rows = [{"index": at, "embedding": [1.0]} for at in range(2)]
    async with calling(home, [Reply(body=json.dumps({"data": rows}).encode())]) as caller:
        result = await caller.call("embed", given("EMB-003"))
        assert result.is_error
        assert "2 vectors came for 3 texts" in said(result)
        assert result.structured_content is None
        assert {outcome for outcome, _ in await caller.ledger()} == {"garbled"}
    assert kept_files(home) == []


def kept_files(home: Path) -> list[str]:
    """Files of artifacts, half-written ones too."""
    return [str(path) for path in (home / "artifacts").rglob("*") if path.is_file()]


async def test_what_is_no_picture_is_told_and_nothing_is_kept(home: Path) -> None:
    body = case("PIC-003").fault["upstream_body"]
    html = json.dumps({"data": [{"b64_json": base64.b64encode(b"<html>sorry").decode()}]})
    for sent in (body, html):
        async with calling(home, [Reply(body=sent.encode())]) as caller:
            result = await caller.call("generate_image", given("PIC-003"))
            assert result.is_error
            assert {outcome for outcome, _ in await caller.ledger()} >= {"garbled"}
    assert kept_files(home) == []


async def test_a_page_in_the_place_of_sound_is_told_and_no_file(home: Path) -> None:
    played = case("SPE-002").fault["upstream"]
    page = Reply(status=played["status"], headers=played["headers"], body=played["body"].encode())
    async with calling(home, [page]) as caller:
        result = await caller.call("speak", given("SPE-002"))
        assert result.is_error
        assert "no sound; it is an HTML page" in said(result)
        assert {outcome for outcome, _ in await caller.ledger()} == {"garbled"}
    assert kept_files(home) == []


async def test_ids_that_nobody_can_write_down_are_dropped_from_a_vendors_list(home: Path) -> None:
    escape = json.loads(case("MOD-002").fault["upstream_body"])["data"]
    odd = [{"id": "y" * (1 << 20)}, {"id": "\u202eb"}, {"id": "g\u200bood"}, {"id": ""}, {"id": 7}, {}, None, "m"]
    shown = {"id": "good", "display_name": "\x1b]0;pwn\x07Go\u202eod", "retires_at": "2027\x1b[2J", "context_length": 8}
    many = [{"id": f"m{number}", "display_name": ["no name"]} for number in range(6000)]
    listing = json.dumps({"data": [*escape, *odd, shown, *many]}).encode()
    async with calling(home, [Reply(body=listing)]) as caller:
        result = await caller.call("list_models", {"provider": "acme", "live": True})
        known = caller.app.models.known("acme")
        found = await caller.answered("list_models", {"provider": "acme", "search": "good"})
    assert known is not None
    assert [info.id for info in known] == ["good", *(f"m{number}" for number in range(4999))]
    assert "5,000 models or more" in said(result)
    text = said(result) + json.dumps(result.structured_content, ensure_ascii=False)
    assert all(char.isprintable() or char == "\n" for char in text)
    (row,) = found["models"]
    assert (row["model"], row["name"], row["context"], "retires" in row) == ("acme:good", "]0;pwnGood", 8, False)
