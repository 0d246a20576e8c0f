"""Makes a request fit for one model: fills declared defaults, drops what it is known to refuse, says so; pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput, Unsupported
from mcp_llm.types.chat import ChatRequest
from mcp_llm.types.message import Media, ToolResult
from mcp_llm.types.remembered import remembered
from mcp_llm.wires.schema import instruction

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mcp_llm.catalog.find import Target
    from mcp_llm.catalog.schema import Facts
    from mcp_llm.types.chat import Effort, ToolSpec
    from mcp_llm.types.message import Message

EFFORTS: Final[tuple[Effort, ...]] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
SAMPLING: Final = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")
COSTLY: Final = frozenset(
    {
        *("maxtokens", "maxcompletiontokens", "maxoutputtokens", "maxnewtokens", "maxgenlen", "numpredict"),
        *("n", "bestof", "candidatecount", "numcompletions", "numreturnsequences", "mintokens"),
        *("messages", "contents", "input", "prompt", "system", "systeminstruction", "instructions"),
        *("previousresponseid", "conversation", "cachedcontent", "store"),
        *("models", "route", "provider", "servicetier", "speed", "inferencegeo"),
        *("tools", "plugins", "mcpservers", "container", "websearchoptions", "searchparameters"),
    }
)
"""Keys of request bodies, letters only, that lengthen the answer or the input, change the price, or buy more."""
EMPTY: Final[dict[str, Any]] = {"stop": (), "tools": (), "json_output": False}


def fit(request: ChatRequest, target: Target, learned: Collection[str] = ()) -> tuple[ChatRequest, list[str]]:
    """The request as this target takes it, and a sentence for every change.

    Raises Unsupported for what cannot be left out (an image to a model that cannot see), InvalidInput for a value out
    of the model's range.
    """
    facts = target.facts
    who = f"{target.provider_id}:{target.model_id}"
    changes: dict[str, Any] = {}
    warnings: list[str] = []
    if facts.defaults or facts.extra:
        changes |= _defaults(request, facts)
        request = request.model_copy(update=changes)
        changes = {}
    _reads(request, facts, who)
    if request.tools and facts.can is not None and "tools" not in facts.can:
        raise Unsupported(
            f"{who} cannot call tools. Leave `tools` out or ask another model; list_models shows which can."
        )
    for name in sorted({*(facts.refuses or ()), *learned}):
        if name in {"system", "tools", "stream_options"} or name not in ChatRequest.model_fields:
            continue
        if not is_set(request, name):
            continue
        if name == "json_schema":
            changes["json_output"] = True
            changes["system"] = _append(request.system, instruction(request.json_schema))
            changes["json_schema"] = None
            continue
        changes[name] = EMPTY.get(name)
        warnings.append(f"`{name}` was not sent: {who} does not take it")
    effort = changes.get("effort", request.effort) if "effort" in changes else request.effort
    if effort is not None and facts.efforts is not None and effort not in facts.efforts:
        changes["effort"], words = _nearest(effort, facts.efforts)
        warnings.append(f"`effort` {effort!r} is not offered by {who}: {words}")
        effort = changes["effort"]
    if facts.sampling_needs_effort_none and (effort or facts.default_effort) != "none":
        for name in SAMPLING:
            if name not in changes and getattr(request, name) is not None and name != "seed":
                changes[name] = None
                warnings.append(f"`{name}` was not sent: {who} takes it only with effort 'none'")
    forced = request.tool_choice not in (None, "auto", "none")
    if forced and facts.forced_tools is False and "tool_choice" not in changes:
        wanted = "one of the tools" if request.tool_choice == "required" else f"the tool `{request.tool_choice}`"
        changes["tool_choice"] = "auto"
        changes["system"] = _append(changes.get("system", request.system), f"Answer by calling {wanted}.")
        warnings.append(f"`tool_choice` cannot be forced on {who}: asked for in words instead")
    if request.max_tokens is not None and facts.output is not None and request.max_tokens > facts.output:
        changes["max_tokens"] = facts.output
        warnings.append(f"`max_tokens` was lowered to {facts.output}, the most {who} writes")
    _ranges(request, facts, who, changes)
    return (request.model_copy(update=changes) if changes else request), warnings


def is_set(request: ChatRequest, name: str) -> bool:
    """Whether the caller said anything about this field. 0 is something: a temperature, a seed, a budget."""
    value = getattr(request, name)
    return not (value is None or value == () or (name == "json_output" and not value))


def without(request: ChatRequest, field: str) -> ChatRequest:
    """The request less one field that the model just refused."""
    if field == "stream":
        return request.model_copy(update={"stream": False})
    if field == "json_schema" and request.json_schema is not None:
        words = _append(request.system, instruction(request.json_schema))
        return request.model_copy(update={"json_schema": None, "system": words})
    return request.model_copy(update={field: EMPTY.get(field)})


def uncounted(options: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """The names in `options` that change how much a call can cost, wherever a wire keeps them; `ours` are trusted."""
    found: list[str] = []
    left: list[tuple[str, Any]] = [(name, value) for name, value in options.items() if ours.get(name) != value]
    while left:
        name, value = left.pop()
        if re.sub(r"[^a-z]", "", name.rpartition(".")[2].lower()) in COSTLY:
            found.append(name[:60])
        elif isinstance(value, dict) and name.count(".") < 8:
            left += [(f"{name}.{key}", item) for key, item in value.items()]
    return sorted(found)


def estimate_tokens(request: ChatRequest) -> int:
    """A guess at the input tokens: four characters each, 1,000 for a picture or page image, 3 a message."""
    characters = len(request.system or "")
    extra = 0
    for message in request.messages:
        said, more = _length(message, None)
        characters += said
        extra += more
    characters += sum(_written(tool, None) for tool in request.tools)
    if request.json_schema:
        characters += len(str(request.json_schema))
    return characters // 4 + extra + 1


@remembered
def _length(message: Message, _: None) -> tuple[int, int]:
    """(characters, tokens besides) of a message."""
    characters, extra = 0, 3
    for part in message.parts:
        if isinstance(part, Media):
            extra += max(1000, len(part.data or "") // 1000)
        elif isinstance(part, ToolResult):
            characters += len(part.text)
            extra += 1000 * sum(isinstance(piece, Media) for piece in part.parts)
        else:
            characters += len(getattr(part, "text", "")) + len(getattr(part, "arguments", ""))
    return characters, extra


@remembered
def _written(tool: ToolSpec, _: None) -> int:
    """Characters of a tool's definition."""
    return len(tool.name) + len(tool.description) + len(str(tool.parameters))


def _defaults(request: ChatRequest, facts: Facts) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, value in (facts.defaults or {}).items():
        if not is_set(request, name):
            changes[name] = tuple(value) if isinstance(value, list) else value
    if facts.extra:
        changes["options"] = {**facts.extra, **request.options}
    return changes


def _reads(request: ChatRequest, facts: Facts, who: str) -> None:
    if facts.reads is None:
        return
    for message in request.messages:
        for part in message.parts:
            pieces = part.parts if isinstance(part, ToolResult) else (part,)
            for piece in pieces:
                if isinstance(piece, Media) and piece.modality not in facts.reads:
                    can = ", ".join(("text", *facts.reads))
                    what = {"image": "images", "pdf": "PDF files", "file": f"files of type {piece.mime}"}
                    raise Unsupported(
                        f"{who} cannot read {what.get(piece.modality, piece.modality)}; it reads {can}. "
                        "Ask a model that can (list_models shows which), or leave the file out."
                    )


def _nearest(effort: Effort, offered: tuple[Effort, ...]) -> tuple[Effort | None, str]:
    if not offered:
        return None, "not sent"
    rank = EFFORTS.index(effort)
    best = min(offered, key=lambda value: (abs(EFFORTS.index(value) - rank), EFFORTS.index(value)))
    return best, f"{best!r} was sent"


def _ranges(request: ChatRequest, facts: Facts, who: str, changes: dict[str, Any]) -> None:
    for name, (low, high) in (facts.sampling or {}).items():
        value = changes.get(name, getattr(request, name))
        if value is not None and not low <= value <= high:
            raise InvalidInput(f"`{name}` is {value}, but {who} takes {low:g} to {high:g}")


def _append(system: str | None, words: str) -> str:
    return f"{system}\n\n{words}" if system else words
