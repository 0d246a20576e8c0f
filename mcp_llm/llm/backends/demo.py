"""The built-in demo: answers without a key, a network or a model, the same words every time, and says that it does.

It streams, thinks when asked to, calls tools (the one that the words name, with the JSON object among them as its
arguments) and fills JSON Schemas, so that every part of the product can be tried and tested on a bare machine. It is no
language model and claims nothing else.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from mcp_llm.types.chat import Delta, End
from mcp_llm.types.message import Media, Text, Thinking, ToolCall, ToolResult
from mcp_llm.types.usage import Usage

from .example import example

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_llm.types.chat import ChatRequest, Chunk, Stop, ToolSpec
    from mcp_llm.types.message import Message

NOTICE: Final = "This is mcp-llm's built-in demo, not a language model."
QUOTE: Final = 300


class Demo:
    """A backend whose answer is a function of the request alone."""

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        """The answer in pieces of one word."""
        last = request.messages[-1] if request.messages else None
        if request.effort not in (None, "none"):
            yield Delta(0, Thinking("The demo does not think; it only shows where thinking would appear."))
        stop: Stop = "stop"
        if (tool := _wanted(request, last)) is not None:
            arguments = _given(tool, last) or json.dumps(example(tool.parameters, _words(last)), ensure_ascii=False)
            yield Delta(1, ToolCall(f"demo_{len(request.messages)}", tool.name, arguments))
            text, stop = "", "tool_calls"
        elif request.json_schema is not None:
            text = json.dumps(example(request.json_schema, "demo"), ensure_ascii=False)
        elif request.json_output:
            text = json.dumps({"notice": NOTICE, "you_wrote": _words(last)}, ensure_ascii=False)
        else:
            text = _prose(last)
        pieces = re.findall(r"\S+\s*", text)
        if request.max_tokens is not None and len(pieces) > request.max_tokens:
            pieces, stop = pieces[: request.max_tokens], "length"
        for marker in request.stop:
            if marker and marker in (joined := "".join(pieces)):
                pieces = re.findall(r"\S+\s*", joined.partition(marker)[0])
        for piece in pieces:
            yield Delta(2, Text(piece))
        counted = Usage(input=_count(request), output=len(pieces), estimated=True)
        yield End(stop=stop, stop_raw="demo", usage=counted, model=model, id=f"demo-{len(request.messages)}")


def _wanted(request: ChatRequest, last: Message | None) -> ToolSpec | None:
    """The tool to call: the forced one, or the first that the user's words name; none after a result has come."""
    if not request.tools or request.tool_choice == "none" or last is None:
        return None
    if any(isinstance(part, ToolResult) for part in last.parts):
        return None
    words = last.text.lower()
    for tool in request.tools:
        if request.tool_choice == tool.name:
            return tool
        names = {tool.name.lower(), tool.name.rpartition("__")[2].lower()}
        if any(re.search(rf"(?<![a-z0-9_]){re.escape(name)}(?![a-z0-9_])", words) for name in names):
            return tool
    return request.tools[0] if request.tool_choice == "required" else None


def _given(tool: ToolSpec, last: Message | None) -> str | None:
    """The first JSON object among the user's words, where it names nothing but parameters of the tool."""
    text = last.text if last else ""
    known = tool.parameters.get("properties", {})
    for found in re.finditer(r"\{", text):
        try:
            value, length = json.JSONDecoder().raw_decode(text[found.start() :])
        except (ValueError, RecursionError):
            continue
        return text[found.start() :][:length] if value.keys() <= known.keys() else None
    return None


def _prose(last: Message | None) -> str:
    if last is None:
        return NOTICE
    results = [part for part in last.parts if isinstance(part, ToolResult)]
    if results:
        told = "; ".join(f"{part.name} said: {part.text[:QUOTE]}" for part in results)
        return f"{NOTICE} {told}"
    media = [part for part in last.parts if isinstance(part, Media)]
    seen = f" and {len(media)} file(s) it cannot look into" if media else ""
    count = len(last.text.split())
    return f"{NOTICE} It was given {count} {'word' if count == 1 else 'words'}{seen}: {_words(last)}"


def _words(last: Message | None) -> str:
    text = last.text.strip() if last else ""
    return text if len(text) <= QUOTE else text[:QUOTE] + "..."


def _count(request: ChatRequest) -> int:
    return sum(len(message.text.split()) for message in request.messages) + len((request.system or "").split())
