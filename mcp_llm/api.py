"""Asking from Python, sync and async: plain functions over one Service that is opened when it is first needed.

The async functions use a Service of the running event loop; the sync ones run on a background loop of their own, so
they work inside and outside a running loop alike.
"""

from __future__ import annotations

from dataclasses import fields
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

from mcp_llm.background import opened
from mcp_llm.errors import InvalidInput
from mcp_llm.llm import conversation
from mcp_llm.llm import generate as operation
from mcp_llm.llm.generate import Ask
from mcp_llm.streaming import Stream
from mcp_llm.twins import blocking, taking
from mcp_llm.types.message import Media, Message, Text, Thinking, ToolCall, ToolResult
from mcp_llm.types.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from mcp_llm.agent.task import AgentResult
    from mcp_llm.app import App
    from mcp_llm.compare.result import Compared, Result
    from mcp_llm.llm.counting import TokenCount
    from mcp_llm.toolsets.base import Toolset
    from mcp_llm.types.chat import Effort
    from mcp_llm.types.result import Generated

_RENAMED = {"max_output_tokens": "max_tokens", "system_instruction": "system"}
_TAKEN = {"prompt", "messages", "options", "sampling", "stop", "tools", "tool_choice"}
_ASK = frozenset(field.name for field in fields(Ask)) - _TAKEN
_KNOWN = frozenset({"stop", "tools", "tool_choice"})
_NAMES = sorted({*_ASK, *_RENAMED, *_KNOWN, "options", "messages", "prompt"} - {"principal"})
_FIELDS = frozenset({"top_p", "top_k", "seed", "presence_penalty", "frequency_penalty"})


async def agenerate_result(
    contents: Any,
    model: str | None = None,
    *,
    temperature: float | None = None,
    max_output_tokens: int | None = None,
    system_instruction: str | None = None,
    json_output: bool = False,
    json_schema: dict[str, Any] | None = None,
    thinking_budget: int | None = None,
    effort: Effort | None = None,
    timeout_s: float | None = None,
    context: str | None = None,
    files: Sequence[Any] = (),
    thread: str | None = None,
    budget_usd: float | None = None,
    **options: Any,
) -> Generated:
    """Ask one model; the answer with its receipt: tokens, dollars, seconds, run id. Unknown is None, never 0.

    Args:
        contents: A string, a list of strings and parts, messages (`mcp_llm.Message`, or dicts with `role` and
            `content`), bytes, a path or a picture object (anything with `save`).
        model: `provider:model`, a model's id, an alias, `pro`, `balanced`, `lite` or `auto`; None is what the context
            or the settings say.
        temperature: As the vendor defines it. It and the others are sent only where they are given.
        max_output_tokens: The longest the answer may be, in tokens; `max_tokens` is the same.
        system_instruction: The system's words; `system` is the same.
        json_output: Any JSON object as the answer; `.parsed` has it.
        json_schema: A JSON Schema: `.parsed` is a value of that shape, after one repair turn where it was not.
        thinking_budget: Tokens for reasoning; 0 is off, -1 leaves it to the model.
        effort: `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`.
        timeout_s: Seconds for the whole call.
        context: The routing context, `notes.title`: settings say which model answers it.
        files: Paths, URLs, data URIs, bytes or picture objects that go along.
        thread: `new`, or the id of a kept conversation to go on with.
        budget_usd: The most this call may cost, in dollars.
        options: `messages`, `tools`, `tool_choice`, `stop`, `top_p`, `top_k`, `seed`, `presence_penalty` and
            `frequency_penalty` are understood for every vendor. Any other keyword, and `options={...}`, goes into the
            provider's request body as it is.

    Raises:
        Error: One of `mcp_llm.errors`: `ConfigError` and `InvalidInput` before anything is sent, `BudgetExceeded`,
            `SchemaMismatch`, or a `ProviderError` once nobody is left to ask.
    """
    ask = _ask(
        contents,
        options,
        model=model,
        temperature=temperature,
        max_tokens=max_output_tokens,
        system=system_instruction,
        json_output=json_output,
        json_schema=json_schema,
        thinking_budget=thinking_budget,
        effort=effort,
        timeout_s=timeout_s,
        context=context,
        thread=thread,
        budget_usd=budget_usd,
        files=files,
    )
    return await operation.generate(await opened.get(), ask)


@taking(agenerate_result)
async def agenerate(*args: Any, **arguments: Any) -> str:
    """Ask one model; the answer's text."""
    return (await agenerate_result(*args, **arguments)).response


@taking(agenerate_result)
async def acount_tokens(*args: Any, **arguments: Any) -> TokenCount:
    """Input tokens of what `agenerate_result` would send.

    The provider's own count where it has one (`exact` is True), else a guess.
    """
    return await operation.count_tokens(await opened.get(), _asked(*args, **arguments))


generate_result = blocking(agenerate_result)
generate = blocking(agenerate)
count_tokens = blocking(acount_tokens)


async def acompare_models(
    prompt: Any = None,
    models: Sequence[str] = (),
    *,
    prompts: Sequence[Any] = (),
    samples: int = 1,
    expect: Any = None,
    judge: bool | str | Sequence[str] = False,
    rubric: str | None = None,
    system: str | None = None,
    files: Sequence[Any] = (),
    json_schema: dict[str, Any] | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    effort: Effort | None = None,
    timeout_s: float | None = None,
    context: str | None = None,
    budget_usd: float | None = None,
    dry_run: bool = False,
    on_result: Callable[[Result], Awaitable[None]] | None = None,
    **options: Any,
) -> Compared:
    """Ask 2 to 16 models the same at once: answers side by side, checks, judges, and what may be concluded.

    One model's failure is its result, and ends nothing else.

    Args:
        prompt: Text, or a list of text and parts; or `prompts`.
        models: As in `agenerate_result`; none twice.
        prompts: Up to 500 of them: a verdict needs many.
        samples: Answers of each model to each prompt, 1 to 50.
        expect: What is right: text, a number, or `{equals, contains, regex, json_schema, number, tolerance}`; a list
            has one for each prompt.
        judge: True chooses judges, a model or several are those; none judges its own answer.
        rubric: What judges look for.
        system: The system's words, for all.
        files: Go along with every prompt.
        json_schema: Each answer as JSON of this JSON Schema, in `.parsed`.
        temperature: As the vendors define it; sent only where it is given.
        max_tokens: The longest an answer may be, in tokens.
        effort: As in `agenerate_result`.
        timeout_s: Seconds for each call.
        context: The routing context.
        budget_usd: The most all of it may cost, in dollars. Without it, what will probably cost more than the setting
            `budget.confirm_usd` is only quoted (`.quoted` is True).
        dry_run: Only quote.
        on_result: Awaited with each answer as it lands.
        options: `top_p`, `top_k`, `seed` and the penalties; any other goes into the request bodies as it is.

    Raises:
        Error: One of `mcp_llm.errors`, for what can be no comparison.
    """
    from mcp_llm.compare.asked import Comparison
    from mcp_llm.compare.operation import compare

    ask = Comparison(
        prompt=prompt,
        models=models,
        prompts=prompts,
        samples=samples,
        expect=expect,
        judge=judge,
        rubric=rubric,
        system=system,
        files=files,
        json_schema=json_schema,
        temperature=temperature,
        max_tokens=max_tokens,
        effort=effort,
        timeout_s=timeout_s,
        context=context,
        budget_usd=budget_usd,
        dry_run=dry_run,
        sampling={name: options.pop(name) for name in _FIELDS & options.keys()},
        options=options,
    )
    return await compare(await opened.get(), ask, on_result=on_result)


compare_models = blocking(acompare_models)


@taking(agenerate_result)
def stream(*args: Any, **arguments: Any) -> Stream:
    """The answer in pieces of text: iterate it, or in async code open it with `async with` and iterate it then.

    `.result` is the whole result once the pieces have ended. Leaving early stops the call; errors are raised while it
    is iterated.
    """
    return Stream(_asked(*args, **arguments))


async def run_agent(config: dict[str, Any], on_event: Callable[[dict[str, Any]], Any] | None = None) -> str:
    """Hand a task to an agent; its answer. A limit that is reached ends the run and is no error.

    Args:
        config: `prompt` (needed), `model`, `provider`, `agent`, `persona`, `instruction`, `extra_context`, `servers`
            and `tools` (lists of names and globs), `disable_mcp`, `functions` (Python functions as further tools),
            `providers` (names of registered objects with `handle_request`, whose methods are tools), `continue_from`
            and `agent_id` (the run's id, if it is to have a certain one), `json_schema`, `effort`, `temperature`,
            `max_tokens`, `context`, `budget_usd` (dollars), `max_turns`, `max_calls`, `max_seconds`. Other keys are
            ignored. `mcp_server_url` has to be the URL of a server in the settings.
        on_event: Called with every event as a dict, last `finish` or `error`.

    Raises:
        Error: One of `mcp_llm.errors`.
    """
    return (await run_agent_result(config, on_event)).response


async def run_agent_result(
    config: dict[str, Any], on_event: Callable[[dict[str, Any]], Any] | None = None
) -> AgentResult:
    """`run_agent` with the whole result: receipt, turns, `stop_reason`, `parsed`."""
    from mcp_llm.agent.config import Told, read
    from mcp_llm.agent.operation import run_agent as run

    app = cast("App", await opened.get())
    listener = None if on_event is None else Told(on_event)
    try:
        task, functions, run_id = read(config, app.config.settings, app.prompts)
        if named := config.get("providers"):
            functions = [*functions, _provided(app, [named] if isinstance(named, str) else list(named))]
        return await run(
            app,
            app.journals,
            task,
            run_id=run_id,
            toolsets=functions,
            sinks=() if listener is None else (listener,),
        )
    except Exception as exc:
        if listener is not None:
            listener.fail(exc, str(config.get("agent_id") or ""))
        raise


def register_provider(name: str, provider: object) -> None:
    """Make a `provider` in code, an object or its class, available as `name:model`, in this process.

    It has one of the methods `stream(request, model)`, `generate(messages, model, settings)`,
    `completion(prompt, model, temperature, max_tokens)` and `handle_request(method, params)`. With the last it is also
    a method of workflows (`name/method`), and tools for agents that name it in `providers`. Raises ConfigError for an
    object with none of them, and for a `name` that no `name:model` can begin with.
    """
    opened.register(name, provider)


def _provided(app: App, names: Sequence[str]) -> Toolset:
    """The methods of registered provider objects as tools."""
    from mcp_llm.toolsets.protocol import Provided

    known = app.backends.speakers()
    for name in names:
        if name not in known:
            there = ", ".join(known) or "none"
            raise InvalidInput(
                f"config: no provider with `handle_request` is registered as {name!r}; there are {there}"
            )
    chosen = {name: known[name] for name in names}
    return Provided(chosen, attach=app.attachments, ready=app.backends.ready)


def _asked(contents: Any, model: str | None = None, **arguments: Any) -> Ask:
    """The request of the arguments of `agenerate_result`."""
    renamed = {_RENAMED.get(name, name): value for name, value in arguments.items()}
    known = {name: renamed.pop(name) for name in _ASK & renamed.keys()}
    return _ask(contents, renamed, model=model, **known)


def _ask(contents: Any, options: dict[str, Any], **known: Any) -> Ask:
    """The request of these arguments; of `options` what is understood for every vendor is taken out."""
    options = {**options.pop("options", {}), **options} if "options" in options else dict(options)
    for name, spelled in (("system", "system"), ("max_tokens", "max_tokens")):  # the words of the tool and the shell
        if name in options:
            known[spelled] = options.pop(name)
    items = list(contents) if isinstance(contents, list | tuple) else [contents]
    items = [*options.pop("messages", ()), *items]
    _spelled(options)
    ask = Ask(
        sampling={name: options.pop(name) for name in _FIELDS & options.keys()},
        stop=_stops(options.pop("stop", ())),
        tools=options.pop("tools", ()),
        tool_choice=options.pop("tool_choice", None),
        options=options,
        **known,
    )
    said: list[Any] = []
    pictures: list[Any] = []
    turns: list[Message] = []
    for written, group in groupby(items, lambda item: isinstance(item, dict) and "role" in item):
        if written:  # together: a tool's result belongs to the call before it
            turns += conversation.messages(list(group))
            continue
        _sort(group, turns, said, pictures)
    ask.messages, ask.prompt, ask.files = turns, said, [*pictures, *ask.files]
    return ask


def _sort(items: Iterable[Any], turns: list[Message], said: list[Any], pictures: list[Any]) -> None:
    """Put what was given where it belongs. Raises InvalidInput for what belongs nowhere."""
    for item in items:
        if isinstance(item, Message):
            turns.append(item)
        elif isinstance(item, str | Text | Media | Thinking | ToolCall | ToolResult):
            said.append(item)
        elif isinstance(item, bytes | bytearray) or hasattr(item, "save") or hasattr(item, "__fspath__"):
            pictures.append(bytes(item) if isinstance(item, bytearray) else item)
        else:
            raise InvalidInput(f"contents holds a {type(item).__name__}: use text, parts, messages, bytes or pictures")


def _spelled(options: dict[str, Any]) -> None:
    """Refuse what is nearly an argument of ours: sent on, a typing mistake would change nothing and say nothing."""
    for name in options.keys() - _FIELDS - _KNOWN:
        if close := nearest(name, _NAMES, likeness=0.75):
            raise InvalidInput(
                f"there is no argument `{name}`; did you mean `{close[0]}`? A field of the provider's own request body "
                "goes into options={...}"
            )


def _stops(value: Any) -> tuple[str, ...]:
    if value is None or isinstance(value, str):
        return (value,) if value else ()
    if not isinstance(value, list | tuple):
        raise InvalidInput(f"`stop` is a {type(value).__name__}; it has to be text or a list of texts")
    return tuple(value)
