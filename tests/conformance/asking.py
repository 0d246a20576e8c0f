"""The suite's tools and prompt that ask the client: in the older era by requests, in the newer by results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import mcp_types as types
from mcp.server.mcpserver import Context, Elicit, ElicitationResult, Resolve
from pydantic import BaseModel, Field
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from pydantic.config import JsonValue

Asked = str | types.InputRequiredResult
Requests = dict[str, types.InputRequest]


class Response(BaseModel):
    """What `test_elicitation` wants to know."""

    username: str
    email: str


class Defaults(BaseModel):
    """A default of each primitive type."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: str = Field(default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = True


def _titled(words: str, suffix: str = "") -> list[JsonValue]:
    return [{"const": word, "title": word.title() + suffix} for word in words.split()]


class Enums(BaseModel, alias_generator=to_camel):
    """The five spellings of a choice."""

    untitled_single: str = Field(json_schema_extra={"enum": ["active", "inactive", "pending"]})
    titled_single: str = Field(json_schema_extra={"oneOf": _titled("low medium high", " Priority")})
    untitled_multi: list[str] = Field(json_schema_extra={"items": {"type": "string", "enum": ["read", "write"]}})
    titled_multi: list[str] = Field(json_schema_extra={"items": {"anyOf": _titled("feature bug docs")}})
    legacy_enum: str = Field(json_schema_extra={"enum": ["s", "m", "l"], "enumNames": ["Small", "Medium", "Large"]})


def _question() -> Elicit[Response]:
    return Elicit("Please answer", Response)


def add(server: MCPServer[Any]) -> None:
    """Register everything of this file."""
    _by_request(server)
    _by_result(server)
    _by_rounds(server)


def _by_request(server: MCPServer[Any]) -> None:
    @server.tool(name="test_sampling", structured_output=False)
    async def sampling(prompt: str, ctx: Context[Any]) -> str:
        """Asks the client's model."""
        message = types.SamplingMessage(role="user", content=types.TextContent(text=prompt))
        said = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
        return f"LLM response: {said.content.text if isinstance(said.content, types.TextContent) else ''}"

    async def elicited(ctx: Context[Any], message: str, schema: type[BaseModel]) -> str:
        answer = await ctx.elicit(message, schema)
        content = answer.data.model_dump_json() if answer.action == "accept" else "{}"
        return f"User response: action={answer.action}, content={content}"

    @server.tool(name="test_elicitation", structured_output=False)
    async def elicitation(message: str, ctx: Context[Any]) -> str:
        """Asks the user."""
        return await elicited(ctx, message, Response)

    @server.tool(name="test_elicitation_sep1034_defaults", structured_output=False)
    async def defaults(ctx: Context[Any]) -> str:
        """Asks with defaults."""
        return await elicited(ctx, "Please check what is filled in", Defaults)

    @server.tool(name="test_elicitation_sep1330_enums", structured_output=False)
    async def enums(ctx: Context[Any]) -> str:
        """Asks for choices."""
        return await elicited(ctx, "Please choose", Enums)

    @server.tool(name="test_streaming_elicitation", structured_output=False)
    async def streaming(answer: Annotated[ElicitationResult[Response], Resolve(_question)], ctx: Context[Any]) -> str:
        """Asks before it begins."""
        return answer.action


def _form(message: str, **properties: str) -> types.ElicitRequest:
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(words: str) -> types.CreateMessageRequest:
    message = types.SamplingMessage(role="user", content=types.TextContent(text=words))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[message], max_tokens=100))


def _said(ctx: Context[Any], key: str) -> dict[str, Any]:
    """The fields of an elicitation that was accepted; empty for anything else."""
    answer = (ctx.input_responses or {}).get(key)
    return dict(answer.content or {}) if isinstance(answer, types.ElicitResult) else {}


def _by_result(server: MCPServer[Any]) -> None:
    @server.tool(name="test_input_required_result_elicitation", structured_output=False)
    async def elicitation(ctx: Context[Any]) -> Asked:
        """Wants a name."""
        if "user_name" in (ctx.input_responses or {}):
            return f"Hello, {_said(ctx, 'user_name').get('name')}!"
        return types.InputRequiredResult(input_requests={"user_name": _form("What is your name?", name="string")})

    @server.tool(name="test_input_required_result_sampling", structured_output=False)
    async def sampling(ctx: Context[Any]) -> Asked:
        """Wants the client's model."""
        answer = (ctx.input_responses or {}).get("capital_question")
        if isinstance(answer, types.CreateMessageResult) and isinstance(answer.content, types.TextContent):
            return f"Model said: {answer.content.text}"
        asked: Requests = {"capital_question": _sample("What is the capital of France?")}
        return types.InputRequiredResult(input_requests=asked)

    @server.tool(name="test_input_required_result_list_roots", structured_output=False)
    async def roots(ctx: Context[Any]) -> Asked:
        """Wants the client's folders."""
        answer = (ctx.input_responses or {}).get("client_roots")
        if isinstance(answer, types.ListRootsResult):
            return f"{len(answer.roots)} roots"
        return types.InputRequiredResult(input_requests={"client_roots": types.ListRootsRequest()})

    @server.tool(name="test_input_required_result_multiple_inputs", structured_output=False)
    async def several(ctx: Context[Any]) -> Asked:
        """Wants three things at once."""
        asked: Requests = {
            "user_name": _form("What is your name?", name="string"),
            "greeting": _sample("Generate a greeting"),
            "client_roots": types.ListRootsRequest(),
        }
        if asked.keys() <= (ctx.input_responses or {}).keys():
            return "all inputs received"
        return types.InputRequiredResult(input_requests=asked, request_state="several")

    @server.tool(name="test_input_required_result_capabilities", structured_output=False)
    async def capabilities(ctx: Context[Any]) -> Asked:
        """Wants what the client said it has, and nothing else."""
        has = ctx.client_capabilities
        asked: Requests = {}
        if has is not None and has.sampling is not None:
            asked["sample"] = _sample("Say hello")
        if has is not None and has.elicitation is not None:
            asked["ask"] = _form("What is your name?", name="string")
        return types.InputRequiredResult(input_requests=asked, request_state="capabilities")

    @server.prompt(name="test_input_required_result_prompt")
    async def prompt(ctx: Context[Any]) -> Asked:
        """A prompt that wants to know something first."""
        if "user_context" in (ctx.input_responses or {}):
            return f"Use this context: {_said(ctx, 'user_context').get('context')}"
        asked: Requests = {"user_context": _form("What context should the prompt use?", context="string")}
        return types.InputRequiredResult(input_requests=asked)


def _by_rounds(server: MCPServer[Any]) -> None:
    @server.tool(name="test_input_required_result_request_state", structured_output=False)
    async def state(ctx: Context[Any]) -> Asked:
        """Gives the client something to bring back."""
        if ctx.request_state == "nonce" and "confirm" in (ctx.input_responses or {}):
            return "state-ok"
        return types.InputRequiredResult(
            input_requests={"confirm": _form("Please confirm", ok="boolean")}, request_state="nonce"
        )

    @server.tool(name="test_input_required_result_tampered_state", structured_output=False)
    async def tampered(ctx: Context[Any]) -> Asked:
        """Must never see a state that is not its own."""
        if ctx.request_state is not None:
            return f"state-ok: {ctx.request_state}"
        return types.InputRequiredResult(
            input_requests={"confirm": _form("Please confirm", ok="boolean")}, request_state="sealed"
        )

    @server.tool(name="test_input_required_result_multi_round", structured_output=False)
    async def rounds(ctx: Context[Any]) -> Asked:
        """Two questions, one after the other."""
        known: dict[str, str] = json.loads(ctx.request_state or "{}")
        known |= {name: str(value) for step in ("step1", "step2") for name, value in _said(ctx, step).items()}
        if "color" in known:
            return f"{known.get('name')} likes {known['color']}"
        asked: Requests = {"step2": _form("Step 2: What is your favorite color?", color="string")}
        if "name" not in known:
            asked = {"step1": _form("Step 1: What is your name?", name="string")}
        # The round is part of the state: the suite looks whether it changes.
        return types.InputRequiredResult(input_requests=asked, request_state=json.dumps(known))
