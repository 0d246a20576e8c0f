"""The Python functions as a program uses them: sync, async, streaming."""

from __future__ import annotations

import asyncio
import base64
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from library.speakers import NOTICE, PNG, Endless, Failing, Recording

import mcp_llm
from mcp_llm.background import opened
from mcp_llm.errors import (
    Denied,
    InvalidInput,
    MissingKey,
    Overloaded,
    SchemaMismatch,
    UnknownModel,
    UnknownProvider,
)
from mcp_llm.types.chat import ChatRequest
from mcp_llm.types.message import Text, ToolCall, ToolResult, user

if TYPE_CHECKING:
    from pathlib import Path


def test_generate_outside_of_a_loop_gives_the_text() -> None:
    assert mcp_llm.generate("hello there", model="demo") == f"{NOTICE} It was given 2 words: hello there"


@pytest.mark.anyio
async def test_sync_functions_work_inside_a_running_loop() -> None:
    assert mcp_llm.generate("hello there", model="demo") == f"{NOTICE} It was given 2 words: hello there"
    assert "".join(mcp_llm.stream("hello there", model="demo")) == f"{NOTICE} It was given 2 words: hello there"
    assert mcp_llm.get_provider("demo").is_available()


@pytest.mark.anyio
async def test_async_functions_run_side_by_side_on_one_service(closing: None) -> None:
    answers: dict[int, str] = {}

    async def ask(number: int) -> None:
        answers[number] = await mcp_llm.agenerate(f"number {number}", model="demo")

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(ask, number)
    assert answers == {number: f"{NOTICE} It was given 2 words: number {number}" for number in range(10)}


def test_sync_functions_work_in_many_threads_at_once() -> None:
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(mcp_llm.generate("hi", model="demo"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [f"{NOTICE} It was given 1 word: hi"] * 8


def test_a_loop_for_every_call_leaves_nothing_of_those_that_have_ended() -> None:
    """As code does that is not async itself, with a loop of its own or with the whole ceremony of `asyncio.run`."""

    def bare() -> None:
        loop = asyncio.new_event_loop()
        try:
            assert loop.run_until_complete(mcp_llm.agenerate("hello", model="demo"))
        finally:
            loop.close()

    async def last() -> None:
        await mcp_llm.agenerate("hello", model="demo")
        await opened.close()

    bare()
    before = threading.enumerate()  # the store of the loop that has just ended: the next call closes it
    for _ in range(4):
        bare()
    for thread in threading.enumerate():
        if thread not in before and thread.name.startswith("AnyIO"):  # it has been told to end
            thread.join(20)
    assert threading.active_count() <= len(before)
    for _ in range(4):
        asyncio.run(mcp_llm.agenerate("hello", model="demo"))
    assert len(opened._open) == 1
    asyncio.run(last())
    assert len(opened._open) == 0


def test_a_result_carries_its_receipt() -> None:
    result = mcp_llm.generate_result("hi", model="demo")
    assert isinstance(result, mcp_llm.Generated)
    assert (result.provider, result.model_used, result.finish_reason) == ("demo", "demo", "stop")
    assert (result.usage.input, result.usage.output, result.usage.estimated) == (1, 15, True)
    assert (result.cost.usd, result.cost.source) == (0, "local")
    assert result.receipt.endswith(f"run {result.run_id}")


def test_what_is_set_reaches_the_provider_and_nothing_else_does() -> None:
    provider = Recording()
    mcp_llm.register_provider("recording", provider)
    mcp_llm.generate("hi", model="recording:m")
    mcp_llm.generate(
        "hi",
        model="recording:m",
        temperature=0.5,
        max_output_tokens=9,
        system_instruction="be brief",
        effort="low",
        top_p=0.9,
        seed=7,
        stop="END",
        logit_bias={"1": 2},
    )
    (bare, model), (full, _) = provider.requests
    assert model == "m"
    assert bare == ChatRequest(messages=(user("hi"),))
    assert full == ChatRequest(
        messages=(user("hi"),),
        system="be brief",
        temperature=0.5,
        max_tokens=9,
        effort="low",
        top_p=0.9,
        seed=7,
        stop=("END",),
        options={"logit_bias": {"1": 2}},
    )


def test_contents_may_be_text_parts_messages_bytes_and_pictures(tmp_path: Path) -> None:
    class Picture:
        """What PIL's images have."""

        format = "PNG"

        def save(self, file: Any, format: str | None = None) -> None:
            file.write(PNG)

    provider = Recording()
    mcp_llm.register_provider("looking", provider)
    (tmp_path / "work" / "a.png").write_bytes(PNG)
    mcp_llm.generate(["one ", mcp_llm.Text("two"), PNG, Picture()], model="looking:m", files=["a.png"])
    mcp_llm.generate(
        [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}, "three"], "looking:m"
    )
    (pictured, _), (talked, _) = provider.requests
    parts = pictured.messages[0].parts
    assert [type(part) for part in parts] == [Text, Text, mcp_llm.Media, mcp_llm.Media, mcp_llm.Media]
    assert {part.mime for part in parts if isinstance(part, mcp_llm.Media)} == {"image/png"}
    assert [(message.role, message.text) for message in talked.messages] == [
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
    ]


def test_turns_as_vendors_write_them_keep_their_calls_results_and_pictures() -> None:
    provider = Recording()
    mcp_llm.register_provider("looking", provider)
    asked = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}}
    turns: list[Any] = [
        mcp_llm.Message(role="user", parts=(Text("before"),)),
        {"role": "user", "content": [{"type": "text", "text": "what is this"}, picture]},
        {"role": "assistant", "content": "", "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
        "and now?",
    ]
    mcp_llm.generate(turns, "looking:m")
    ((request, _),) = provider.requests
    assert [message.parts for message in request.messages] == [
        (Text("before"),),
        (Text("what is this"), mcp_llm.Media("image/png", data=base64.b64encode(PNG).decode())),
        (ToolCall("c1", "add", '{"a": 1}'),),
        (ToolResult("c1", "add", (Text("2"),)),),
        (Text("and now?"),),
    ]
    with pytest.raises(InvalidInput, match=r"messages\[0\].role is 'robot'"):
        mcp_llm.generate([{"role": "robot", "content": "x"}], "looking:m")


def test_a_schema_gives_parsed_data() -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 18}}, "required": ["age"]}
    assert mcp_llm.generate_result("who?", model="demo", json_schema=schema).parsed == {"age": 18}
    assert mcp_llm.generate_result("who?", model="demo", json_output=True).parsed == {
        "notice": NOTICE,
        "you_wrote": "who?",
    }


def test_an_answer_that_does_not_fit_the_schema_is_an_error_with_the_text() -> None:
    mcp_llm.register_provider("stubborn", Recording())
    with pytest.raises(SchemaMismatch) as caught:
        mcp_llm.generate("who?", model="stubborn:m", json_schema={"type": "object"})
    assert caught.value.text == "noted"


def test_tools_are_given_as_specs_and_come_back_as_calls() -> None:
    weather = mcp_llm.ToolSpec(
        name="weather",
        description="the weather of a city",
        parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    )
    result = mcp_llm.generate_result("weather in Rome", model="demo", tools=[weather])
    assert result.tool_calls is not None
    assert [(call.name, call.arguments) for call in result.tool_calls] == [("weather", {"city": "weather in Rome"})]


def test_a_thread_remembers() -> None:
    first = mcp_llm.generate_result("one", model="demo", thread="new")
    second = mcp_llm.generate_result("two", model="demo", thread=first.thread)
    assert (second.thread, second.request_id) == (first.thread, "demo-3")


def test_a_stream_gives_pieces_and_then_its_result() -> None:
    stream = mcp_llm.stream("hello there", model="demo", max_output_tokens=4)
    assert "".join(list(stream)) == "This is mcp-llm's built-in "
    assert stream.result is not None
    assert (stream.result.response, stream.result.finish_reason) == ("This is mcp-llm's built-in ", "length")


def test_leaving_a_stream_early_stops_the_provider() -> None:
    provider = Endless()
    mcp_llm.register_provider("endless", provider)
    stream = mcp_llm.stream("go", model="endless:m")
    for count, piece in enumerate(stream):
        assert piece.startswith("again ")
        if count == 3:
            break
    assert provider.stopped.wait(10)
    assert stream.result is None
    assert mcp_llm.generate("still there?", model="demo").startswith(NOTICE)


@pytest.mark.anyio
async def test_leaving_an_async_stream_early_stops_the_provider(closing: None) -> None:
    provider = Endless()
    mcp_llm.register_provider("endless2", provider)
    with anyio.fail_after(10):
        async with mcp_llm.stream("go", model="endless2:m") as pieces:
            async for piece in pieces:
                assert piece.startswith("again ")
                break
    assert provider.stopped.is_set()


@pytest.mark.anyio
async def test_a_stream_that_fails_gives_what_came_and_then_the_error(closing: None) -> None:
    mcp_llm.register_provider("failing", Failing())
    got: list[str] = []
    with pytest.raises(Overloaded, match="out of order") as caught:
        async with mcp_llm.stream("go", model="failing:m") as pieces:
            got.extend([piece async for piece in pieces])
    assert caught.value.partial == "half an "


def test_a_sync_stream_raises_its_error_too() -> None:
    mcp_llm.register_provider("failing2", Failing())
    got: list[str] = []
    with pytest.raises(mcp_llm.Error, match="out of order"):
        got.extend(mcp_llm.stream("go", model="failing2:m"))
    assert got == ["half an "]


@pytest.mark.parametrize(
    ("contents", "arguments", "error", "said"),
    [
        ("hi", {"model": "anthropic:pro"}, MissingKey, "ANTHROPIC_API_KEY"),
        ("hi", {"model": "nobody:nothing"}, UnknownProvider, "nobody"),
        ("hi", {"model": "no-such-model"}, UnknownModel, "no-such-model"),
        ("", {"model": "demo"}, InvalidInput, "empty"),
        ([], {"model": "demo"}, InvalidInput, "empty"),
        (7, {"model": "demo"}, InvalidInput, "int"),
        ([{"role": "user", "content": 7}], {"model": "demo"}, InvalidInput, "content"),
        ("hi", {"model": "demo", "max_output_tokens": 0}, InvalidInput, "max_tokens"),
        ("hi", {"model": "demo", "timeout_s": -1}, InvalidInput, "timeout_s"),
        ("hi", {"model": "demo", "files": ["../../etc/passwd"]}, Denied, "outside the allowed folders"),
        ("hi", {"model": "demo", "thread": "no-such-thread"}, InvalidInput, "thread"),
    ],
)
def test_a_mistake_is_an_error_of_ours_that_names_it(
    contents: Any, arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(mcp_llm.Error, match=said) as caught:
        mcp_llm.generate(contents, **arguments)
    assert isinstance(caught.value, error)
    with pytest.raises(mcp_llm.Error, match=said):
        list(mcp_llm.stream(contents, **arguments))


def test_a_typing_mistake_in_an_argument_is_told_and_never_sent(home: Path) -> None:
    import mcp_llm

    for wrong, right in (("modle", "model"), ("temprature", "temperature"), ("timeout", "timeout_s")):
        mistaken: Any = {wrong: 1}
        with pytest.raises(mcp_llm.Error, match=f"did you mean `{right}`"):
            mcp_llm.generate("hi", "demo", **mistaken)


def test_the_words_of_the_tool_and_the_shell_are_understood_too(home: Path) -> None:
    import mcp_llm

    result = mcp_llm.generate_result(
        "and now?", "demo", system="be brief", max_tokens=3, messages=[{"role": "user", "content": "first"}]
    )
    assert result.finish_reason == "length"
    assert (result.usage.input, result.usage.output) == (5, 3)
