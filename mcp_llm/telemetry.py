"""OpenTelemetry spans, where somebody configured a tracer provider; a look into a dict where nobody did.

The API is never imported here: whoever configures a provider has loaded it. Names are those of the GenAI semantic
conventions (`gen_ai.*`); what people, models and tools said is left out unless the setting `telemetry.content` is on,
and keys always.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from mcp_llm import __version__
from mcp_llm.errors import Error
from mcp_llm.types.message import Media, Opaque, Text, Thinking, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from mcp_llm.redactor import Redactor
    from mcp_llm.settings import Telemetry
    from mcp_llm.types.chat import ToolSpec
    from mcp_llm.types.message import Message, Part
    from mcp_llm.types.result import Tokens
    from mcp_llm.types.usage import Usage

MOST: Final = 64 * 1024
"""Characters of one attribute."""


class Span:
    """One span under way, to be entered and left in one task; what it is left with becomes its status."""

    __slots__ = ("_content", "_current", "_redacted", "_span", "_token")

    def __init__(self, span: Any, *, current: bool, content: bool, redactor: Redactor) -> None:
        self._redacted = redactor
        self._span = span
        self._current = current
        self._content = content
        self._token: Any = None

    def __enter__(self) -> Span:
        if self._current:
            from opentelemetry import context, trace

            self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.fail(error_type(error), str(error) if isinstance(error, Error) else None)
            self.set({"http.response.status_code": getattr(error, "status", None)})
        if self._token is not None:
            from opentelemetry import context

            context.detach(self._token)
        self._span.end()

    def set(self, attributes: Mapping[str, Any]) -> None:
        """Attributes; None is left out."""
        self._span.set_attributes({name: value for name, value in attributes.items() if value is not None})

    def say(self, name: str, value: Any) -> None:
        """An attribute of what was said, as JSON; only where the user wants it."""
        if self._content and value:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            self._span.set_attribute(name, self._redacted(text)[:MOST])

    def event(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Something that happened on the way."""
        self._span.add_event(name, {key: value for key, value in attributes.items() if value is not None})

    def fail(self, kind: str, words: str | None = None) -> None:
        """It failed. Words of errors may quote what was said."""
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR, self._redacted(words)[:MOST] if words and self._content else None)


class Nothing:
    """The span that nobody wants."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


NOTHING: Final = Nothing()


def tracer(wanted: Telemetry) -> Any:
    """The configured provider's tracer, None where there is none or the user wants no spans."""
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is None or not wanted.spans:
        return None
    provider = api.get_tracer_provider()
    if isinstance(provider, api.ProxyTracerProvider):
        return None
    return provider.get_tracer("mcp_llm", __version__)


def begin(
    found: Any,
    name: str,
    attributes: Mapping[str, Any],
    *,
    client: bool = False,
    current: bool = False,
    wanted: Telemetry,
    redactor: Redactor,
) -> AbstractContextManager[Span]:
    """A span of this tracer. `client`: it asks another machine; `current`: what is begun inside is below it."""
    from opentelemetry.trace import SpanKind

    known = {key: value for key, value in attributes.items() if value is not None}
    span = found.start_span(name, kind=SpanKind.CLIENT if client else SpanKind.INTERNAL, attributes=known)
    return Span(span, current=current, content=wanted.content, redactor=redactor)


def error_type(error: BaseException) -> str:
    """A word for an error: ours have one."""
    if isinstance(error, Error):
        return error.kind
    return type(error).__qualname__ if isinstance(error, Exception) else "cancelled"


def usage(used: Usage | Tokens) -> dict[str, Any]:
    """Tokens; `input` includes cached ones and `output` reasoning, there as here."""
    return {
        "gen_ai.usage.input_tokens": used.input,
        "gen_ai.usage.output_tokens": used.output,
        "gen_ai.usage.cache_read.input_tokens": used.cached,
        "gen_ai.usage.cache_creation.input_tokens": used.cache_write,
        "gen_ai.usage.reasoning.output_tokens": used.reasoning,
    }


def messages(said: Iterable[Message], finish: str | None = None) -> list[dict[str, Any]]:
    """Messages as the conventions' JSON has them; media are named, not shown."""
    return [
        {
            "role": "tool" if any(isinstance(part, ToolResult) for part in message.parts) else message.role,
            "parts": [_part(part) for part in message.parts if not isinstance(part, Opaque)],
            **({"finish_reason": finish} if finish is not None else {}),
        }
        for message in said
    ]


def tools(specs: Iterable[ToolSpec]) -> list[dict[str, Any]]:
    """Tool definitions."""
    return [
        {"type": "function", "name": spec.name, "description": spec.description, "parameters": spec.parameters}
        for spec in specs
    ]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "content": part.text}
    if isinstance(part, Thinking):
        return {"type": "reasoning", "content": part.text}
    if isinstance(part, ToolCall):
        return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments}
    if isinstance(part, ToolResult):
        return {"type": "tool_call_response", "id": part.id, "response": part.text}
    assert isinstance(part, Media)
    return {"type": "blob", "modality": part.modality, "mime_type": part.mime}
