"""MCP sampling, the server's side: pushed while a call is open (handshake era), handed back with it (2026-07-28).

It asks only for the caller's own calls. The servers that our agents use are never offered it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcp import MCPError
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    AudioContent,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ImageContent,
    ModelPreferences,
    SamplingMessage,
    TextContent,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from mcp_llm.errors import Disconnected, Garbled, Refused, Unsupported
from mcp_llm.llm.backends.sampling import Sampled
from mcp_llm.types.message import Media, Opaque, Text, Thinking

if TYPE_CHECKING:
    from mcp.server.session import ServerSession

    from mcp_llm.llm.backends.sampling import Sampler
    from mcp_llm.types.chat import ChatRequest, Stop
    from mcp_llm.types.message import Part

    from .run import Run

STOPS: Final[dict[str, Stop]] = {"endTurn": "stop", "stopSequence": "stop", "maxTokens": "length"}
MOST: Final = 4096
"""Tokens asked for where nobody says how many; sampling needs a number."""


def offered(run: Run) -> Sampler | None:
    """How this call's host is asked; None where it offers no model, or there is no way to ask."""
    session = run.session
    capabilities = session.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        return None
    if session.can_send_request:
        return Pushed(session, run.context.request_id)
    return HandedBack(run) if session.protocol_version in MODERN_PROTOCOL_VERSIONS else None


@dataclass(frozen=True, slots=True)
class Pushed:
    """Asks with `sampling/createMessage` on the stream of the call."""

    session: ServerSession
    call: str

    async def __call__(self, request: ChatRequest) -> Sampled:
        """What the host's model says. Raises ProviderError."""
        asked = CreateMessageRequest(params=params(request))
        metadata = ServerMessageMetadata(related_request_id=self.call)
        try:
            return read(await self.session.send_request(asked, CreateMessageResult, metadata=metadata))
        except NoBackChannelError:
            raise Disconnected("the call through which the host's model was asked is over", retry=False) from None
        except MCPError as exc:  # -1 is what hosts say when a person declines
            raise Refused(
                f"the host did not ask its model: {exc.error.message[:300]}", code=str(exc.error.code)
            ) from None
        except ValidationError:
            raise Garbled("the host's answer is no sampling result") from None


@dataclass(frozen=True, slots=True)
class HandedBack:
    """Asks by handing the call back, which comes again with the answer."""

    run: Run

    async def __call__(self, request: ChatRequest) -> Sampled:
        """What the host's model says. Raises ProviderError."""
        answer = await self.run.desk.ask(CreateMessageRequest(params=params(request)))
        if answer is None:
            raise Garbled("the host's answer is no sampling result")
        return read(answer)


def params(request: ChatRequest) -> CreateMessageRequestParams:
    """The request as sampling has it. Raises Unsupported for what it cannot carry."""
    # One message a part: lists of contents came only with 2025-11-25.
    messages = [
        SamplingMessage(role=message.role, content=_block(part))
        for message in request.messages
        for part in message.parts
        if not isinstance(part, Thinking | Opaque)
    ]
    return CreateMessageRequestParams(
        messages=messages,
        system_prompt=request.system,
        max_tokens=request.max_tokens or MOST,
        temperature=request.temperature,
        stop_sequences=list(request.stop) or None,
        include_context="none",
        model_preferences=ModelPreferences(intelligence_priority=0.5),
    )


def read(result: CreateMessageResult) -> Sampled:
    """The host's answer as ours."""
    content = result.content
    part = Text(content.text) if isinstance(content, TextContent) else Media(content.mime_type, data=content.data)
    raw = result.stop_reason
    return Sampled(part, result.model or None, STOPS.get(raw or "endTurn", "other"), raw)


def _block(part: Part) -> TextContent | ImageContent | AudioContent:
    if isinstance(part, Media) and part.data is not None:
        if part.mime.startswith("image/"):
            return ImageContent(type="image", data=part.data, mime_type=part.mime)
        if part.mime.startswith("audio/"):
            return AudioContent(type="audio", data=part.data, mime_type=part.mime)
    if isinstance(part, Text):
        return TextContent(type="text", text=part.text)
    raise Unsupported("the host's model takes text, images and sound, no tools and no other files: name another model")
