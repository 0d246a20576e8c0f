"""Makes a history that other targets wrote fit for the next one; knows no dialect and calls nobody.

A message's opaque state is good for one provider, model and wire only; ids and names follow the strictest vendors; and
every tool call has exactly one result in the turn after it, because all vendors answer 400 otherwise.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from hashlib import sha256
from operator import is_
from typing import TYPE_CHECKING, Final

from mcp_llm.types.message import Media, Message, Opaque, Text, Thinking, ToolCall, ToolResult
from mcp_llm.types.remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mcp_llm.types.message import Origin, Part

NO_RESULT: Final = "no result was recorded"
_BAD_IN_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH: Final = 9  # what the strictest vendor asks for, to the character


def fit(
    messages: Iterable[Message], origin: Origin | None, *, ids: re.Pattern[str] | None = None
) -> tuple[Message, ...]:
    """The history as `origin` may be sent it; `ids` is what its tool-call ids have to match in full.

    Messages of that very origin stay as they are. Those of others lose opaque state and thinking; hand-made ones (no
    origin) lose only opaque state. Renamed ids are a function of the history before them, so longer histories of one
    conversation begin alike.
    """
    fitted: list[Message] = []
    taken: set[str] = set()
    calls: list[tuple[str, ToolCall]] = []
    turn: list[Message] = []
    for message in messages:
        if message.role == "user":
            turn.append(message)
            continue
        fitted += _answered(turn, calls)
        turn = []
        if origin is not None and message.origin is not None and _same(message.origin, origin):
            shorter, calls = _own(message, None)
            taken.update([old for old, _ in calls])
            if shorter is None:
                fitted.append(message)
            elif shorter.parts:
                fitted.append(shorter)
            continue
        parts, calls = _foreign(message, taken, ids)
        if parts:
            fitted.append(_with(message, parts))
    fitted += _answered(turn, calls)
    return tuple(fitted)


def tool_name(name: str) -> str:
    """A name that every vendor takes: letters, digits, `_` and `-`, at most 64."""
    return _BAD_IN_NAME.sub("_", name)[:64] or "tool"


def _with(message: Message, parts: Sequence[Part]) -> Message:
    return Message(role=message.role, parts=tuple(parts), origin=message.origin)


def _same_or_with(message: Message, parts: Sequence[Part]) -> Message:
    """The message itself where these are its parts: what wires remember of it is known by identity."""
    same = len(parts) == len(message.parts) and all(map(is_, parts, message.parts))
    return message if same else _with(message, parts)


def _same(one: Origin, other: Origin) -> bool:
    # pydantic's own comparison takes five times as long, and every message of a history is asked.
    return one.model == other.model and one.provider == other.provider and one.wire == other.wire


@remembered
def _own(message: Message, _: None) -> tuple[Message | None, list[tuple[str, ToolCall]]]:
    """The message without empty words, None where it has none; its calls."""
    kept = [part for part in message.parts if not isinstance(part, Text) or part.text or part.echo is not None]
    calls = [(part.id, part) for part in kept if isinstance(part, ToolCall)]
    return None if kept and len(kept) == len(message.parts) else _with(message, kept), calls


def _foreign(
    message: Message, taken: set[str], ids: re.Pattern[str] | None
) -> tuple[list[Part], list[tuple[str, ToolCall]]]:
    parts: list[Part] = []
    calls: list[tuple[str, ToolCall]] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            call = ToolCall(_id(part.id, taken, ids), tool_name(part.name), part.arguments)
            calls.append((part.id, call))
            parts.append(call)
        elif isinstance(part, Thinking):
            if message.origin is None and part.text:
                parts.append(Thinking(part.text))
        elif isinstance(part, Text):
            if part.text:
                parts.append(Text(part.text))
        elif not isinstance(part, Opaque):
            parts.append(_bare(part))
    return parts, calls


def _bare(part: Part) -> Part:
    return replace(part, echo=None) if isinstance(part, Text | Media) and part.echo is not None else part


def _id(old: str, taken: set[str], ids: re.Pattern[str] | None) -> str:
    """The id itself where it matches and is new; else one made from it (ids that we invented repeat between turns)."""
    new, salt = old, 0
    while not new or new in taken or (salt == 0 and ids is not None and not ids.fullmatch(new)):
        salt += 1
        number = int.from_bytes(sha256(f"{salt}:{old}".encode("utf-8", "surrogatepass")).digest()[:12])
        new = ""
        for _ in range(_ID_LENGTH):
            number, digit = divmod(number, len(_ALPHABET))
            new += _ALPHABET[digit]
    taken.add(new)
    return new


def _answered(turn: Sequence[Message], calls: Sequence[tuple[str, ToolCall]]) -> list[Message]:
    """The user's messages after a model's turn with one result for each call, all in the first of them."""
    if len(turn) == 1 and len(turn[0].parts) == len(calls) and all(map(_answers, turn[0].parts, calls)):
        return [turn[0]]  # as nearly always; a long history is gone through again for every request
    waiting: dict[str, deque[ToolCall]] = {}
    for old, call in calls:
        waiting.setdefault(old, deque()).append(call)
    fitted: list[tuple[Message, list[Part]]] = []
    late: list[Part] = []
    for message in turn:
        parts: list[Part] = []
        for part in message.parts:
            if not isinstance(part, ToolResult):
                parts.append(_bare(part))
            elif queue := waiting.get(part.id):
                call = queue.popleft()
                same = part.id == call.id and part.name == call.name
                result = part if same else replace(part, id=call.id, name=call.name)
                (late if fitted else parts).append(result)
            else:
                parts += _quoted(part)
        if parts or not message.parts or not fitted:
            fitted.append((message, parts))
    unanswered = {id(call) for queue in waiting.values() for call in queue}
    late += [
        ToolResult(call.id, call.name, (Text(NO_RESULT),), is_error=True) for _, call in calls if id(call) in unanswered
    ]
    if not late:
        return [_same_or_with(message, parts) for message, parts in fitted]
    if not fitted:
        return [Message(role="user", parts=tuple(late))]
    first = fitted[0][1]
    at = max((index for index, part in enumerate(first) if isinstance(part, ToolResult)), default=-1) + 1
    first[at:at] = late
    return [_with(message, parts) for message, parts in fitted]


def _answers(part: Part, call: tuple[str, ToolCall]) -> bool:
    """Whether the part is the result of just this call, under the call's own id."""
    return isinstance(part, ToolResult) and part.id == call[0] == call[1].id and part.name == call[1].name


def _quoted(result: ToolResult) -> list[Part]:
    """A result that no call asks for, as words (and its media)."""
    what = "error" if result.is_error else "result"
    words = f"The {what} of an earlier call of the tool {tool_name(result.name)}:\n{result.text}"
    return [Text(words), *(_bare(part) for part in result.parts if isinstance(part, Media))]
