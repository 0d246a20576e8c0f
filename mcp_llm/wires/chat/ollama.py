"""Ollama's native chat dialect (`/api/chat`, NDJSON): request and reply.

Calls have no ids in a request: results are matched by `tool_name`, in order. Files, PDFs and URLs do not exist on it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from mcp_llm.errors import Disconnected, Unsupported
from mcp_llm.types.chat import Chunk, Delta, Effort, End, Stop
from mcp_llm.types.message import Media, Text, Thinking, ToolCall, ToolResult
from mcp_llm.types.usage import Usage
from mcp_llm.wires import base, failures
from mcp_llm.wires.arguments import as_object
from mcp_llm.wires.body import merge
from mcp_llm.wires.counts import first
from mcp_llm.wires.effort import nearest
from mcp_llm.wires.schema import inline_refs, instruction
from mcp_llm.wires.words import word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_llm.types.chat import ChatRequest, ToolSpec
    from mcp_llm.types.message import Message

framing: base.Framing = "lines"


class Quirks(base.Quirks):
    """What models and set-ups of Ollama disagree on."""

    think: Literal["bool", "levels", "none"] = "bool"
    """How reasoning is steered: on and off, by level words only (gpt-oss, which ignores booleans), or not at all."""
    levels: tuple[Effort, ...] = Field(default=("low", "medium", "high"), min_length=1)
    """The words `think` takes where it is `levels`."""
    num_ctx: int | None = None
    """Context window to load the model with, tokens: at least this, more for a request that needs it. The server's own
    default is small, and it cuts what is longer without a word."""
    keep_alive: str | int | None = None
    """How long the model stays loaded (`"5m"`, seconds, -1 for ever)."""
    json_mode: Literal["schema", "json", "none"] = "schema"
    """Structured output: `format` takes a schema, only `"json"`, or nothing (in words only)."""
    images: bool = True
    """Messages may hold images."""


_OPTIONS: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "max_tokens": "num_predict",
}
_STOPS: Final[dict[str, Stop]] = {"stop": "stop", "length": "length"}
_THINKING, _TEXT, _CALLS = 0, 1, 2
_LETTERS: Final = 3
"""Letters of a token at the least, in most languages and in code."""
_IMAGE: Final = 1_500
"""Tokens of an image at the most, in the common vision models."""
_ANSWER: Final = 2_048
"""Tokens kept free for an answer of unknown length."""


def encode(request: ChatRequest, model: str, quirks: Quirks) -> base.HttpRequest:
    """`/api/chat`; raises `Unsupported` for media that is no image given as data."""
    warnings: list[str] = []
    system = [request.system] if request.system else []
    body: dict[str, Any] = {"model": model, "messages": [], "stream": request.stream}
    if request.json_output or request.json_schema is not None:
        if request.json_schema is not None and quirks.json_mode == "schema":
            body["format"] = inline_refs(request.json_schema)
        else:
            if quirks.json_mode != "none":
                body["format"] = "json"
            system.append(instruction(request.json_schema))
    if system:
        body["messages"].append({"role": "system", "content": "\n\n".join(system)})
    for message in request.messages:
        body["messages"].extend(_model(message, warnings) if message.role == "assistant" else _user(message, quirks))
    if tools := _tools(request, warnings):
        body["tools"] = tools
    options = {name: value for key, name in _OPTIONS.items() if (value := getattr(request, key)) is not None}
    if request.stop:
        options["stop"] = list(request.stop)
    if quirks.num_ctx is not None:
        options["num_ctx"] = _window(request, quirks.num_ctx, warnings)
    if options:
        body["options"] = options
    if (think := _think(request, quirks, warnings)) is not None:
        body["think"] = think
    if quirks.keep_alive is not None:
        body["keep_alive"] = quirks.keep_alive
    return base.HttpRequest(
        method="POST",
        path="/api/chat",
        json=merge(body, request.options),
        stream=request.stream,
        warnings=warnings,
    )


def _window(request: ChatRequest, least: int, warnings: list[str]) -> int:
    """The window that request and answer need by a high guess, in steps of doubling: each new one loads the model anew.

    The server lowers what is more than the model has.
    """
    parts = [part for message in request.messages for part in message.parts]
    letters = len(request.system or "") + sum(len(str(tool.parameters)) for tool in request.tools)
    letters += sum(len(part.arguments if isinstance(part, ToolCall) else getattr(part, "text", "")) for part in parts)
    images = len([part for part in parts if isinstance(part, Media)])
    needed = letters // _LETTERS + images * _IMAGE + (request.max_tokens or _ANSWER)
    window = least
    while window < needed:
        window *= 2
    if window > least:
        warnings.append(f"Ollama was asked for a window of {window:,} tokens instead of {least:,}; the prompt is long.")
    return window


def _model(message: Message, warnings: list[str]) -> Iterable[dict[str, Any]]:
    turn: dict[str, Any] = {"role": "assistant", "content": message.text}
    if thinking := "".join(part.text for part in message.parts if isinstance(part, Thinking)):
        turn["thinking"] = thinking
    if message.tool_calls:
        turn["tool_calls"] = [
            {"function": {"name": call.name, "arguments": as_object(call.arguments)}} for call in message.tool_calls
        ]
    if any(isinstance(part, Media) for part in message.parts):
        warnings.append("Media that a model has made cannot be shown to this one; they were left out.")
    return [turn] if len(turn) > 2 or turn["content"] else []


def _user(message: Message, quirks: Quirks) -> Iterable[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    words: list[Text | Media] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            content = f"Error: {part.text}" if part.is_error else part.text
            turn: dict[str, Any] = {"role": "tool", "content": content, "tool_name": part.name}
            if images := _images(part.parts, quirks):
                turn["images"] = images
            turns.append(turn)
        elif isinstance(part, Text | Media):
            words.append(part)
    if words:
        turn = {"role": "user", "content": "\n\n".join(part.text for part in words if isinstance(part, Text))}
        if images := _images(words, quirks):
            turn["images"] = images
        turns.append(turn)
    return turns


def _images(parts: Iterable[Text | Media], quirks: Quirks) -> list[str]:
    images: list[str] = []
    for part in parts:
        if not isinstance(part, Media):
            continue
        if part.modality != "image" or not quirks.images:
            raise Unsupported(f"Ollama cannot give this model {part.modality} parts; send their text instead.")
        if part.data is None:
            raise Unsupported("Ollama does not fetch URLs; download the image and send its data.")
        images.append(part.data)
    return images


def _tools(request: ChatRequest, warnings: list[str]) -> list[dict[str, Any]]:
    tools: tuple[ToolSpec, ...] = request.tools
    if not tools or request.tool_choice == "none":
        return []
    if request.tool_choice not in (None, "auto"):
        tools = tuple(tool for tool in tools if tool.name == request.tool_choice) or tools
        warnings.append("Ollama cannot force a tool call; the model may answer in words.")
    if request.parallel_tool_calls is False:
        warnings.append("Ollama cannot switch off parallel tool calls; the model may make several at once.")
    return [
        {
            "type": "function",
            # Chat templates print the schema as it is, so references must be written out.
            "function": {
                "name": tool.name,
                **({"description": tool.description} if tool.description else {}),
                "parameters": inline_refs(tool.parameters),
            },
        }
        for tool in tools
    ]


def _think(request: ChatRequest, quirks: Quirks, warnings: list[str]) -> bool | str | None:
    effort, budget = request.effort, request.thinking_budget
    if effort is None and budget is None:
        return None
    off = effort == "none" or (effort is None and budget == 0)
    if quirks.think == "none":
        if not off:
            warnings.append("This model does not think; the reasoning effort was left out.")
        return None
    if effort is None and budget not in (0, -1):
        warnings.append("Ollama has no token budget for thinking; it was only switched on.")
    if quirks.think == "bool":
        if effort not in (None, "none", "medium"):
            warnings.append(f"This model only takes thinking on or off; the effort {effort!r} switched it on.")
        return not off
    wanted: Effort = effort or ("none" if off else "medium")
    level = nearest(wanted, quirks.levels)
    if level != wanted:
        warnings.append(f"This model has no thinking level {wanted!r}; {level!r} was sent.")
    return level


class Decoder:
    """Decodes one reply, which ends with a line that says `done`."""

    def __init__(self, quirks: object) -> None:
        self.done = False
        self._calls = 0
        self._logprobs: list[Any] = []
        self._last: dict[str, Any] = {}

    def feed(self, frame: base.Frame) -> list[Chunk]:
        """The pieces of one line."""
        data = frame.data
        if data is None:
            self.done = True
            return []
        if data.get("error") is not None:
            raise failures.from_data(data)
        if logprobs := data.get("logprobs"):
            self._logprobs += logprobs
        chunks: list[Chunk] = []
        if message := data.get("message"):
            if thinking := message.get("thinking"):
                chunks.append(Delta(_THINKING, Thinking(thinking)))
            if content := message.get("content"):
                chunks.append(Delta(_TEXT, Text(content)))
            for call in message.get("tool_calls") or ():
                chunks.append(Delta(_CALLS + self._calls, self._call(call)))
                self._calls += 1
        if data.get("done"):
            self.done = True
            self._last = data
        return chunks

    def close(self) -> list[Chunk]:
        """The `End`, from the last line."""
        if not self.done:
            raise Disconnected("the stream ended before the model had finished; ask again")
        raw = word(self._last.get("done_reason"))
        stop: Stop = _STOPS.get(raw or "stop", "other")
        read, written = first(self._last.get("prompt_eval_count")), first(self._last.get("eval_count"))
        return [
            End(
                stop="tool_calls" if self._calls and stop == "stop" else stop,
                stop_raw=raw,
                usage=None if read is None and written is None else Usage(input=read, output=written),
                model=word(self._last.get("model")),
                extras={"logprobs": self._logprobs} if self._logprobs else None,
            )
        ]

    def _call(self, call: dict[str, Any]) -> ToolCall:
        function = call["function"]
        arguments = function.get("arguments")
        if arguments is None:
            arguments = ""
        elif not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
        return ToolCall(word(call.get("id")) or f"call_{self._calls}", function["name"], arguments)
