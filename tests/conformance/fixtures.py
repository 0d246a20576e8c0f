"""What the official suite looks up on a server, put beside our own tools: its names and texts are the suite's contract.

Only what needs no answer from the client; `asking.py` has the rest. Nothing here is ever registered in the product.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import mcp_types as types
from mcp.server import ServerRequestContext  # noqa: TC002 - the SDK evaluates annotations
from mcp.server.mcpserver import Context  # noqa: TC002
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.shared.exceptions import MCPError
from pydantic import Field

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server import MCPServer

PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
SOUND: Final = base64.b64encode(
    b"RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\4\0\0\0\0\0\0\0"
).decode()

KEYWORDS: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
"""One of each keyword that the suite looks for in a tool's schema."""


def add(server: MCPServer[Any]) -> None:
    """Register everything of this file."""
    for tool in (_text, _image, _audio, _resource, _mixed, _progress, _failing, _header, _capability):
        server.add_tool(tool, name=NAMES[tool], description=tool.__doc__, structured_output=False)
    for logging in (_logged, _reconnected):
        server.add_tool(logging, name=NAMES[logging], description=logging.__doc__, structured_output=False)
    server.add_tool(_nothing, name="json_schema_2020_12_tool", description="A schema of many keywords.")
    server._tool_manager._tools["json_schema_2020_12_tool"].parameters = KEYWORDS  # it has no public way in
    _changes(server)
    _resources(server)
    _prompts(server)
    _handlers(server)


def _text() -> str:
    """Plain text."""
    return "This is a simple text response for testing."


def _image() -> types.ImageContent:
    """An image."""
    return types.ImageContent(data=PIXEL, mime_type="image/png")


def _audio() -> types.AudioContent:
    """A sound."""
    return types.AudioContent(data=SOUND, mime_type="audio/wav")


def _embedded(uri: str, text: str, mime: str) -> types.EmbeddedResource:
    return types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, mime_type=mime, text=text))


def _resource() -> types.EmbeddedResource:
    """An embedded resource."""
    return _embedded("test://embedded-resource", "This is an embedded resource content.", "text/plain")


def _mixed() -> list[types.TextContent | types.ImageContent | types.EmbeddedResource]:
    """Text, an image and a resource."""
    words = types.TextContent(text="Multiple content types test:")
    data = _embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
    return [words, types.ImageContent(data=PIXEL, mime_type="image/png"), data]


async def _progress(ctx: Context[Any]) -> str:
    """Three steps of progress."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, total=100, message=f"Completed step {done} of 100")
    return "done"


def _failing() -> str:
    """Fails."""
    raise ToolError("This tool intentionally returns an error for testing")


def _header(
    region: Annotated[str, Field(description="Goes into a header too", json_schema_extra={"x-mcp-header": "Region"})],
) -> str:
    """An argument that is mirrored into a header."""
    return f"region={region}"


def _capability(ctx: Context[Any]) -> str:
    """Works for clients that lend a model."""
    if ctx.client_capabilities is None or ctx.client_capabilities.sampling is None:
        needed: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "the client has to declare `sampling`", needed)
    return "declared"


async def _logged(ctx: Context[Any]) -> str:
    """Three lines of log."""
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(words)
    return "done"


async def _reconnected(ctx: Context[Any]) -> str:
    """Ends its event stream before it has an answer; the client comes back for it."""
    await ctx.close_sse_stream()
    return "Reconnection test completed"


def _nothing() -> str:
    return "ok"


NAMES: Final[dict[Callable[..., Any], str]] = {
    _text: "test_simple_text",
    _image: "test_image_content",
    _audio: "test_audio_content",
    _resource: "test_embedded_resource",
    _mixed: "test_multiple_content_types",
    _progress: "test_tool_with_progress",
    _failing: "test_error_handling",
    _header: "test_x_mcp_header",
    _capability: "test_missing_capability",
    _logged: "test_tool_with_logging",
    _reconnected: "test_reconnection",
}


def _changes(server: MCPServer[Any]) -> None:
    @server.tool(name="test_trigger_tool_change", structured_output=False)
    async def tool_change(ctx: Context[Any]) -> str:
        """Adds a tool, takes it away, and tells."""
        server.add_tool(_nothing, name="test_dynamic_tool", description="Comes and goes.")
        server.remove_tool("test_dynamic_tool")
        await ctx.notify_tools_changed()
        return "told"

    @server.tool(name="test_trigger_prompt_change", structured_output=False)
    async def prompt_change(ctx: Context[Any]) -> str:
        """Adds a prompt, takes it away, and tells."""
        server.add_prompt(Prompt.from_function(_nothing, name="test_dynamic_prompt", description="Comes and goes."))
        server.remove_prompt("test_dynamic_prompt")
        await ctx.notify_prompts_changed()
        return "told"

    @server.tool(name="test_logging_tool", structured_output=False)
    async def logging_tool(ctx: Context[Any]) -> str:
        """Logs at every level, for clients that ask for some."""
        for level in ("debug", "info", "warning", "error"):
            await ctx.log(level, f"a line of level {level}")
        return "logged"


def _resources(server: MCPServer[Any]) -> None:
    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        return base64.b64decode(PIXEL)

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @server.resource("test://watched-resource", mime_type="text/plain")
    def watched() -> str:
        return "Watched resource content"


def _prompts(server: MCPServer[Any]) -> None:
    @server.prompt(name="test_simple_prompt")
    def simple() -> str:
        """No arguments."""
        return "This is a simple prompt for testing."

    @server.prompt(name="test_prompt_with_arguments")
    def with_arguments(arg1: str, arg2: str) -> str:
        """Two arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt(name="test_prompt_with_embedded_resource")
    def with_resource(resourceUri: str) -> list[UserMessage]:
        """A resource in a message."""
        embedded = _embedded(resourceUri, "Embedded resource content for testing.", "text/plain")
        words = types.TextContent(text="Please process the embedded resource above.")
        return [UserMessage(content=embedded), UserMessage(content=words)]

    @server.prompt(name="test_prompt_with_image")
    def with_image() -> list[UserMessage]:
        """An image in a message."""
        image = types.ImageContent(data=PIXEL, mime_type="image/png")
        return [UserMessage(content=image), UserMessage(content=types.TextContent(text="Please analyze the image."))]


def _handlers(server: MCPServer[Any]) -> None:
    """Methods of the older era that the product does not offer: it has no log to level and nothing that is watched."""

    async def accept(_ctx: ServerRequestContext[Any], _params: Any) -> types.EmptyResult:
        return types.EmptyResult()

    low = server._lowlevel_server
    low.add_request_handler("logging/setLevel", types.SetLevelRequestParams, accept)
    low.add_request_handler("resources/subscribe", types.SubscribeRequestParams, accept)
    low.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, accept)
