"""What a 400 teaches: which parameter the model does not take, so that the call succeeds without it and the next knows.

OpenAI and its kin name the culprit in `error.param`; the others only in the message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import BadRequest, ContextTooLong, Refused

from .parameters import is_set

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.errors import Error
    from mcp_llm.types.chat import ChatRequest

SPELLINGS: Final[dict[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "topP": "top_p",
    "top_k": "top_k",
    "topK": "top_k",
    "seed": "seed",
    "random_seed": "seed",
    "presence_penalty": "presence_penalty",
    "presencePenalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "frequencyPenalty": "frequency_penalty",
    "stop": "stop",
    "stop_sequences": "stop",
    "stopSequences": "stop",
    "reasoning_effort": "effort",
    "reasoning.effort": "effort",
    "effort": "effort",
    "output_config.effort": "effort",
    "thinking": "thinking_budget",
    "thinking_budget": "thinking_budget",
    "budget_tokens": "thinking_budget",
    "thinkingBudget": "thinking_budget",
    "thinkingLevel": "effort",
    "parallel_tool_calls": "parallel_tool_calls",
    "response_format": "json_schema",
    "text.format": "json_schema",
    "output_config.format": "json_schema",
    "responseJsonSchema": "json_schema",
    "tool_choice": "tool_choice",
    "stream_options": "stream_options",
    "stream_options.include_usage": "stream_options",
    "stream": "stream",
}
_WORD: Final = re.compile(r"[`'\"]?\b([A-Za-z][A-Za-z_]*(?:\.[A-Za-z_]+)?)\b[`'\"]?")
_REFUSAL: Final = re.compile(
    r"unsupported|not support|unknown|unrecogni[sz]ed|not permitted|not allowed|extra inputs|extra fields|unexpected|"
    r"does not (take|accept|support)|deprecated|cannot be (set|used|specified)|invalid (parameter|field|value)|"
    r"only .{0,30}(default|supported)|must be verified to stream|may not be",
    re.I,
)
_RANGE: Final = re.compile(
    r"(above|below) (the )?(maximum|minimum)|(must|should|has to) be (a number |a value )?(between|at (least|most)|in "
    r"the range|[<>]|less|greater|smaller|larger)|(less|greater|smaller|larger) than|out of range|[<>]= ?-?\d|"
    r"integer_(above|below)|decimal_(above|below)|expected a value",
    re.I,
)
"""The model takes the parameter but not this value: that is the caller's to mend, not ours to leave out."""
_SCHEMA: Final = re.compile(r"invalid schema|schema .{0,80}(is not valid|invalid|not permitted|must|missing)", re.I)


def culprit(error: Error, request: ChatRequest) -> str | None:
    """The field of the request that this error refuses, if it was set and can be left out; else None."""
    return named(error, lambda word: _known(word, request))


def named(error: Error, known: Callable[[str], str | None]) -> str | None:
    """The same for any request: `known` gives the field for a word of the provider's, None where it may not go."""
    if (
        not isinstance(error, BadRequest)
        or isinstance(error, ContextTooLong | Refused)
        or error.status not in {400, 422}
    ):
        return None
    if _RANGE.search(f"{error.message} {error.code}"):
        return None
    if error.param and (field := known(error.param)):
        return field
    if not _REFUSAL.search(error.message):
        return None
    for word in _WORD.findall(error.message):
        if field := known(word):
            return field
    return None


def lasts(error: Error, field: str) -> bool:
    """Whether the next request will be refused for it too: one schema's fault says nothing about the others."""
    return not (field == "json_schema" and _SCHEMA.search(str(error)))


def _known(word: str, request: ChatRequest) -> str | None:
    field = SPELLINGS.get(word) or SPELLINGS.get(word.rpartition(".")[2])
    if field == "stream_options":
        return field if request.stream else None
    if field == "thinking_budget" and request.thinking_budget is None and request.effort is not None:
        field = "effort"  # one knob on some wires, two words for it
    if field == "effort" and request.effort is None and request.thinking_budget is not None:
        field = "thinking_budget"
    if field is None or not is_set(request, field) or (field == "stream" and not request.stream):
        return None
    return field
