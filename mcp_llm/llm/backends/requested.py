"""An object with `handle_request(method, params)` as a model: its `llm/chat` or `llm/generate`, as a stream of one."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Garbled, Unsupported
from mcp_llm.types.chat import Delta, End
from mcp_llm.types.message import Media, Text
from mcp_llm.types.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from mcp_llm.types.chat import ChatRequest, Chunk

SPOKEN: Final = ("llm/chat", "llm/generate", "chat", "generate")
"""Methods that give words, the first that it has is asked."""


class Requested:
    """`ready` is awaited before each request: it lets the object initialize itself once."""

    def __init__(self, provider: Any, ready: Callable[[], Awaitable[None]] | None = None) -> None:
        self._provider = provider
        self._ready = ready

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        """The whole answer."""
        said = getattr(self._provider, "get_supported_methods", None)
        known = list(said()) if callable(said) else list(SPOKEN)
        method = next((name for name in SPOKEN if name in known), None)
        if method is None:
            raise Unsupported(f"this provider answers no prompts; it has {', '.join(map(str, known)) or 'no methods'}")
        if self._ready is not None:
            await self._ready()
        answer = self._provider.handle_request(method, _params(request, model, chat=method.endswith("chat")))
        if inspect.isawaitable(answer):
            answer = await answer
        words = answer.get("response", answer.get("content")) if isinstance(answer, dict) else answer
        if not isinstance(words, str):
            raise Garbled(f"{method} has to answer with `response`, as text")
        told = answer if isinstance(answer, dict) else {}
        yield Delta(0, Text(words))
        yield End(stop="stop", model=_text(told.get("model")) or model, usage=_usage(told))


def _params(request: ChatRequest, model: str, *, chat: bool) -> dict[str, Any]:
    turns = [{"role": message.role, "content": message.text} for message in request.messages]
    if request.system:
        turns.insert(0, {"role": "system", "content": request.system})
    told = [f"{turn['role']}: {turn['content']}" for turn in turns]
    prompt = turns[-1]["content"] if len(turns) == 1 else "\n\n".join(told)
    settings = {"temperature": request.temperature, "max_tokens": request.max_tokens, **request.options}
    given: dict[str, Any] = {"model": model, **({"messages": turns} if chat else {"prompt": prompt})}
    pictures = [
        part.data
        for message in request.messages
        for part in message.parts
        if isinstance(part, Media) and part.modality == "image" and part.data is not None
    ]
    if pictures:
        given |= {"images": pictures, "image_data": pictures[0]}
    return given | {name: value for name, value in settings.items() if value is not None}


def _usage(told: dict[str, Any]) -> Usage | None:
    """Only what was said of both sides: a sum alone cannot be priced."""
    usage = told.get("usage")
    if not isinstance(usage, dict):
        return None
    found = [usage.get(name) for name in ("input", "output")]
    if not all(isinstance(count, int) and count >= 0 for count in found):
        return None
    return Usage(input=found[0], output=found[1])


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
