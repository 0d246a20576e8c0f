"""OpenAI's Chat Completions dialect, which most vendors speak: the request. The reply is read in `decoder.py`.

What vendors disagree on is data (`Quirks`), never guessed from a URL or a model's name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mcp_llm.types.chat import Effort  # noqa: TC001 - pydantic reads it
from mcp_llm.types.remembered import remembered
from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.effort import nearest
from mcp_llm.wires.schema import inline_refs, instruction, to_strict

from .messages import messages

if TYPE_CHECKING:
    from mcp_llm.types.chat import ChatRequest, ToolSpec

    from .quirks import Quirks

_SAMPLING: Final = ("temperature", "top_p", "presence_penalty", "frequency_penalty")


def encode(request: ChatRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """`/chat/completions`; raises `Unsupported` for media that the vendor cannot read."""
    warnings: list[str] = []
    system = [request.system] if request.system else []
    answer = _response_format(request, quirks, system)
    body: dict[str, Any] = {
        "model": model,
        "messages": messages(request.messages, "\n\n".join(system), quirks, warnings),
    }
    if request.stream:
        body["stream"] = True
        if quirks.stream_options:
            body["stream_options"] = {"include_usage": True}
    _limits(request, quirks, body, warnings)
    if request.tools:
        _tools(request, quirks, body, warnings)
    if answer is not None:
        body["response_format"] = answer
    body = _reasoning(request, quirks, body, warnings)
    return base.HttpRequest(
        method="POST",
        path=quirks.path.replace("{model}", quote(model, safe="")),
        json=merge(body, request.options),
        stream=request.stream,
        warnings=warnings,
    )


def _limits(request: ChatRequest, quirks: Quirks, body: dict[str, Any], warnings: list[str]) -> None:
    if request.max_tokens is not None:
        body[quirks.max_tokens_field] = request.max_tokens
    for name in _SAMPLING:
        if (value := getattr(request, name)) is not None:
            body[name] = value
    if request.stop:
        body["stop"] = list(request.stop)
    if request.seed is not None:
        if quirks.seed_field is not None:
            body[quirks.seed_field] = request.seed
        else:
            warnings.append("seed was left out: this provider has no such parameter.")
    if request.top_k is not None:
        if quirks.top_k:
            body["top_k"] = request.top_k
        else:
            warnings.append("top_k was left out: this provider has no such parameter.")


def _tools(request: ChatRequest, quirks: Quirks, body: dict[str, Any], warnings: list[str]) -> None:
    tools = request.tools
    choice = request.tool_choice
    forced = choice is not None and choice not in ("auto", "none", "required")
    if choice is not None and quirks.tool_choice == "none":
        if choice == "none":
            return  # a tool that is not offered is not called
        if choice != "auto":
            warnings.append(f"tool_choice {choice!r} was left out: this provider always lets the model choose.")
    elif forced and quirks.tool_choice == "words":
        tools = tuple(tool for tool in tools if tool.name == choice) or tools
        body["tool_choice"] = quirks.required_word
    elif forced:
        body["tool_choice"] = {"type": "function", "function": {"name": choice}}
    elif choice is not None:
        body["tool_choice"] = quirks.required_word if choice == "required" else choice
    spelled = [_tool(tool, quirks.strict == "auto") for tool in tools]
    body["tools"] = [tool for tool, _ in spelled]
    warnings += [words for _, words in spelled if words]
    if request.parallel_tool_calls is not None:
        if quirks.parallel_tool_calls:
            body["parallel_tool_calls"] = request.parallel_tool_calls
        elif not request.parallel_tool_calls:
            warnings.append("parallel_tool_calls was left out: this provider has no such parameter.")


@remembered
def _tool(tool: ToolSpec, strictly: bool) -> tuple[dict[str, Any], str | None]:
    """As the body has it, and what to tell of it. Not to be changed: a later request gets the same."""
    # Written out, because models behind compatible servers do not follow references.
    parameters = inline_refs(tool.parameters)
    parameters.setdefault("type", "object")
    parameters.setdefault("properties", {})
    function: dict[str, Any] = {"name": tool.name, "parameters": parameters}
    warning = None
    if tool.description:
        function["description"] = tool.description
    if strictly and tool.strict is not False:
        # Unless asked for, not where it would make the model send nulls that the tool does not expect.
        strict = to_strict(parameters, nulls=tool.strict is True)
        if strict is not None:
            function |= {"parameters": strict, "strict": True}
        elif tool.strict:
            warning = f"The tool {tool.name} is not strict: its parameters have no strict form."
    return {"type": "function", "function": function}, warning


def _response_format(request: ChatRequest, quirks: Quirks, system: list[str]) -> dict[str, Any] | None:
    """What `response_format` is; where a schema cannot be enforced, words for it join the system's."""
    schema = request.json_schema
    if schema is None and not request.json_output:
        return None
    if schema is not None and quirks.json_schema in ("strict", "plain"):
        plain = inline_refs(schema)
        spec: dict[str, Any] = {"name": re.sub(r"[^A-Za-z0-9_-]", "_", str(schema.get("title", "")))[:64] or "answer"}
        strict = to_strict(plain) if quirks.json_schema == "strict" else None
        if strict is not None:
            return {"type": "json_schema", "json_schema": {**spec, "schema": strict, "strict": True}}
        if quirks.json_schema == "plain":
            return {"type": "json_schema", "json_schema": {**spec, "schema": plain}}
    # Vendors refuse `json_object` unless the messages hold the word JSON, as these do.
    system.append(instruction(schema))
    return {"type": "json_object"} if quirks.json_object and quirks.json_schema != "none" else None


def _reasoning(request: ChatRequest, quirks: Quirks, body: dict[str, Any], warnings: list[str]) -> dict[str, Any]:
    """The body with what switches reasoning on or off and says how much of it."""
    effort, budget = request.effort, request.thinking_budget
    if effort is None and budget is None:
        return body
    if effort == "none" or (effort is None and budget == 0):
        if quirks.thinking_off:
            return merge(body, quirks.thinking_off)
        return _effort("none", quirks, body, warnings)
    sent = merge(body, quirks.thinking_on)
    if budget is not None and budget > 0:
        if quirks.budget_field is not None:
            return merge(sent, _nested(quirks.budget_field, budget))
        if effort is None and quirks.thinking_on:
            warnings.append("thinking_budget only switches reasoning on here: this provider takes no number of tokens.")
        else:
            warnings.append("thinking_budget was left out: this provider takes no number of tokens; use effort.")
    if effort is None:
        return sent
    if quirks.effort_field is None and quirks.thinking_on:
        warnings.append("effort only switches reasoning on here: this provider knows no degrees of it.")
        return sent
    return _effort(effort, quirks, sent, warnings)


def _effort(effort: Effort, quirks: Quirks, body: dict[str, Any], warnings: list[str]) -> dict[str, Any]:
    if quirks.effort_field is None:
        warnings.append("effort was left out: this provider has no such parameter.")
        return body
    word = nearest(effort, quirks.levels) if quirks.levels else effort
    if word != effort:
        warnings.append(f"effort {effort} became {word}, the nearest this provider knows.")
    return merge(body, _nested(quirks.effort_field, quirks.efforts.get(word, word)))


def _nested(path: str, value: Any) -> dict[str, Any]:
    """`{"a": {"b": value}}` for the path `a.b`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)
