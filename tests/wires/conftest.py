"""The recorded traffic as cases, the one way from bytes to what we make of them, and the vendors' request types."""

from __future__ import annotations

import json
import re
from collections import abc
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError, create_model
from typing_extensions import ReadOnly, TypeAliasType, TypedDict, is_typeddict

from mcp_llm.catalog.load import load
from mcp_llm.errors import InvalidInput, ProviderError, UnknownProvider, Unsupported
from mcp_llm.types.chat import Chunk, Fold
from mcp_llm.wires import chat
from mcp_llm.wires.failures import failure
from mcp_llm.wires.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mcp_llm.types.chat import ChatResponse

DIALECTS = {
    "openai-chat": "openai",
    "openai-responses": "responses",
    "anthropic-messages": "anthropic",
    "google-gemini": "gemini",
    "ollama-chat": "ollama",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a reply: a response, or an error and the words before it."""

    response: ChatResponse | None
    error: ProviderError | None
    text: str

    @property
    def told(self) -> tuple[object, ...]:
        """What must be the same however the bytes were cut."""
        error = self.error
        return self.response, self.text, type(error), error and (str(error), error.status, error.code)


@dataclass(slots=True)
class Case:
    """One recorded exchange, and what the vendor's SDK made of it (`expected`)."""

    id: str
    wire: str
    provider: str
    model: str
    status: int
    headers: dict[str, str]
    body: bytes
    expected: dict[str, Any]
    quirks: Any = None
    codes: Mapping[str, str] | None = None

    @property
    def dialect(self) -> chat.ChatWire:  # type: ignore[name-defined]
        return chat.wire(DIALECTS[self.wire])

    @property
    def is_stream(self) -> bool:
        return (self.status < 400 and self.body.lstrip()[:1] not in (b"{", b"[")) or self.wire == "ollama-chat"

    def read(self, size: int | None = None, body: bytes | None = None) -> Outcome:
        """Decode the body in pieces of `size` bytes; another body where one is given."""
        data = self.body if body is None else body
        if self.status >= 400:
            return Outcome(None, failure(self.status, self.headers, data, codes=self.codes), "")
        fold = Fold()
        try:
            for chunk in self.chunks(data, size or len(data) or 1):
                fold.add(chunk)
        except ProviderError as error:
            return Outcome(None, error, fold.text())
        response = fold.response()
        return Outcome(response, None, response.text)

    def chunks(self, data: bytes, size: int) -> Iterator[Chunk]:
        reply = Reply(self.dialect, self.quirks)
        for at in range(0, len(data), size):
            yield from reply.feed(data[at : at + size])
        yield from reply.close()


class Corpus:
    """The cases of each wire; quirks are the catalog's where it has the provider, else the dialect's defaults."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cases: dict[str, list[Case]] = {}
        self._catalog = load()

    def __getitem__(self, wire: str) -> list[Case]:
        if wire not in self._cases:
            self._cases[wire] = list(self._read(wire))
        return self._cases[wire]

    def _read(self, wire: str) -> Iterator[Case]:
        expected = {line["id"]: line for line in _lines(self._folder / f"{wire}.expected.jsonl")}
        for line in _lines(self._folder / f"{wire}.jsonl"):
            reply = line["response"]
            case = Case(
                id=line["id"],
                wire=wire,
                provider=line["provider"],
                model=_model(line["request"]),
                status=reply["status"],
                headers={name.lower(): value for name, value in reply["headers"]},
                body=(reply.get("body") or "").encode(),
                expected=expected[line["id"]],
            )
            if wire in DIALECTS:
                case.quirks, case.codes = self._quirks(case)
            yield case

    def _quirks(self, case: Case) -> tuple[Any, Mapping[str, str] | None]:
        dialect = DIALECTS[case.wire]
        try:
            target = self._catalog.target(case.provider, case.model)
        except (UnknownProvider, Unsupported, InvalidInput):
            return chat.wire(dialect).Quirks(), None
        quirks = target.quirks if target.wire == dialect else chat.wire(dialect).Quirks()
        return quirks, target.provider.error_codes


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _model(request: dict[str, Any]) -> str:
    body = request.get("json")
    named = body.get("model") if isinstance(body, dict) else None
    in_path = re.search(r"models/([^/:]+)", request.get("path", ""))
    return named or (in_path[1] if in_path else "unknown")


@pytest.fixture(scope="session")
def corpus(tapes: Path) -> Corpus:
    """Every recorded exchange of the wires we speak."""
    return Corpus(tapes)


class Sdk:
    """The vendors' own request types; `check(wire, body)` lists what in a body is not of them.

    A walk of our own over their TypedDicts and models, because pydantic reads an `Iterable` lazily and lets unknown
    keys of a TypedDict pass; single values go through a strict TypeAdapter.
    """

    def __init__(self) -> None:
        self._adapters: dict[str, TypeAdapter[Any]] = {}
        self._hints: dict[Any, dict[str, Any]] = {}
        self._roots: dict[str, tuple[Any, ...]] = {}

    def roots(self, wire: str) -> tuple[Any, ...]:
        """The types a body may have: any of them will do."""
        if not self._roots:
            from anthropic.types import message_count_tokens_params, message_create_params
            from anthropic.types.beta import message_create_params as beta_params
            from openai.types.chat import completion_create_params
            from openai.types.responses import input_token_count_params, response_create_params

            self._roots = {
                "openai": (
                    completion_create_params.CompletionCreateParamsStreaming,
                    completion_create_params.CompletionCreateParamsNonStreaming,
                ),
                "responses": (
                    response_create_params.ResponseCreateParamsStreaming,
                    response_create_params.ResponseCreateParamsNonStreaming,
                ),
                "anthropic": (
                    message_create_params.MessageCreateParamsStreaming,
                    message_create_params.MessageCreateParamsNonStreaming,
                    beta_params.MessageCreateParamsStreaming,
                    beta_params.MessageCreateParamsNonStreaming,
                ),
                "gemini": (_gemini(),),
                "ollama": (OllamaChat,),
                "anthropic tokens": (message_count_tokens_params.MessageCountTokensParams,),
                "responses tokens": (input_token_count_params.InputTokenCountParams,),
            }
        return self._roots[wire]

    def check(self, wire: str, body: dict[str, Any]) -> list[str]:
        """Sentences, none for a body as the vendor's SDK would have sent it."""
        return min((self._walk(body, root, "$") for root in self.roots(wire)), key=len)

    def walk(self, body: Any, kind: Any) -> list[str]:
        """What in a body is not of this type."""
        return self._walk(body, kind, "$")

    def _walk(self, value: Any, kind: Any, path: str) -> list[str]:
        kind = _bare(kind)
        origin = get_origin(kind)
        if kind in (Any, object):
            return []
        if origin in (Union, UnionType):
            return self._union(value, get_args(kind), path)
        if kind is NoneType or value is None:
            return [] if kind is NoneType and value is None else [f"{path}: {value!r:.60} for {_name(kind)}"]
        if origin is Literal:
            return [] if value in get_args(kind) else [f"{path}: {value!r:.60} is none of {get_args(kind)}"]
        if is_typeddict(kind):
            hints = self._of(kind)
            return self._fields(value, hints, {key for key in hints if _is_required(kind, key, hints[key])}, path)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            fields = {field.alias or name: field for name, field in kind.model_fields.items()}
            required = {name for name, field in fields.items() if field.is_required()}
            return self._fields(value, {name: field.annotation for name, field in fields.items()}, required, path)
        if origin in (list, abc.Iterable, abc.Sequence, tuple):
            if not isinstance(value, list):
                return [f"{path}: {type(value).__name__} for a list"]
            inner = get_args(kind)[0]
            return [told for at, item in enumerate(value) for told in self._walk(item, inner, f"{path}[{at}]")]
        if origin in (dict, abc.Mapping):
            if not isinstance(value, dict):
                return [f"{path}: {type(value).__name__} for an object"]
            inner = get_args(kind)[1]
            return [told for key, item in value.items() for told in self._walk(item, inner, f"{path}.{key}")]
        return self._leaf(value, kind, path)

    def _fields(self, value: Any, fields: dict[str, Any], required: abc.Set[str], path: str) -> list[str]:
        if not isinstance(value, dict):
            return [f"{path}: {type(value).__name__} for an object"]
        found = [f"{path}.{key}: missing" for key in required if key not in value]
        for key, item in value.items():
            found += self._walk(item, fields[key], f"{path}.{key}") if key in fields else [f"{path}.{key}: unknown"]
        return found

    def _union(self, value: Any, kinds: tuple[Any, ...], path: str) -> list[str]:
        # Of branches that do not fit, the one whose `type` does is the one that was meant.
        wrong = re.compile(rf"{re.escape(path)}(\.type)?: ")
        tries = []
        for kind in kinds:
            if not (found := self._walk(value, kind, path)):
                return []
            tries.append((any(map(wrong.match, found)), len(found), found))
        return min(tries, key=lambda rank: rank[:2])[2]

    def _leaf(self, value: Any, kind: Any, path: str) -> list[str]:
        if kind is bytes:  # in JSON: base64
            return [] if isinstance(value, str) else [f"{path}: {type(value).__name__} for base64"]
        if (adapter := self._adapters.get(repr(kind))) is None:
            adapter = self._adapters[repr(kind)] = TypeAdapter(kind)
        words = isinstance(kind, type) and issubclass(kind, str) and kind is not str
        try:
            adapter.validate_python(value, strict=not words and kind is not float)
        except ValidationError as exc:
            return [f"{path}: {value!r:.60}: {exc.errors()[0]['msg']}"]
        return []

    def _of(self, kind: Any) -> dict[str, Any]:
        if kind not in self._hints:
            self._hints[kind] = get_type_hints(kind, include_extras=True)
        return self._hints[kind]


def _is_required(kind: Any, key: str, hint: Any) -> bool:
    """`__required_keys__` is wrong where annotations are strings, as everywhere in the SDKs."""
    if get_origin(hint) in (Required, NotRequired):
        return get_origin(hint) is Required
    for base in getattr(kind, "__orig_bases__", ()):
        if is_typeddict(base) and key in base.__annotations__:
            return _is_required(base, key, hint)
    return bool(kind.__total__)


def _bare(kind: Any) -> Any:
    while True:
        if get_origin(kind) in (Annotated, Required, NotRequired, ReadOnly):
            kind = get_args(kind)[0]
        elif isinstance(kind, TypeAliasType):
            kind = kind.__value__
        else:
            return kind


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def _gemini() -> Any:
    """The body of `generateContent` in REST; the SDK has it only in pieces."""
    from google.genai import types

    fields: dict[str, Any] = {
        "systemInstruction": types.Content,
        "generationConfig": types.GenerationConfig,
        "tools": list[types.Tool],
        "toolConfig": types.ToolConfig,
        "safetySettings": list[types.SafetySetting],
    }
    optional: dict[str, Any] = {name: (kind | None, None) for name, kind in fields.items()}
    return create_model("GenerateContent", contents=(list[types.Content], ...), **optional)


class OllamaFunction(TypedDict):
    name: str
    arguments: NotRequired[dict[str, Any]]


class OllamaCall(TypedDict):
    function: OllamaFunction
    id: NotRequired[str]


class OllamaMessage(TypedDict):
    """docs/api.md of Ollama, "Generate a chat completion"."""

    role: Literal["system", "user", "assistant", "tool"]
    content: NotRequired[str]
    thinking: NotRequired[str]
    images: NotRequired[list[str]]
    tool_calls: NotRequired[list[OllamaCall]]
    tool_name: NotRequired[str]
    tool_call_id: NotRequired[str]


class OllamaToolFunction(TypedDict):
    name: str
    description: NotRequired[str]
    parameters: dict[str, Any]


class OllamaTool(TypedDict):
    type: Literal["function"]
    function: OllamaToolFunction


class OllamaChat(TypedDict):
    model: str
    messages: list[OllamaMessage]
    stream: NotRequired[bool]
    tools: NotRequired[list[OllamaTool]]
    think: NotRequired[bool | Literal["low", "medium", "high"]]
    format: NotRequired[dict[str, Any] | Literal["json"]]
    options: NotRequired[dict[str, float | int | str | list[str]]]
    keep_alive: NotRequired[str | int]


@pytest.fixture(scope="session")
def sdk() -> Sdk:
    """What the vendors' SDKs would let through."""
    return Sdk()
