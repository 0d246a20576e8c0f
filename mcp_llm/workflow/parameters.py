"""What the built-in methods take, under the names that the tools of the same names have."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from mcp_llm.types.chat import Effort
from mcp_llm.types.embed import InputType
from mcp_llm.types.image import Background, Format, Quality
from mcp_llm.types.message import Value
from mcp_llm.types.speech import Sound
from mcp_llm.types.transcribe import Timestamps

Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Words = Annotated[
    str, BeforeValidator(lambda value: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
]
"""Text; anything else that a reference brings is said as JSON."""


def listed(value: Any) -> Any:
    """One text as a list of one."""
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(listed)]
"""Several texts, or one."""


class Turn(Value):
    """One message of a conversation: text, or a list of parts as the tool `generate` takes them."""

    role: Literal["system", "user", "assistant"]
    content: str | list[Any]

    @property
    def words(self) -> str:
        """Its text."""
        pieces = [self.content] if isinstance(self.content, str) else self.content
        return "".join(str(one.get("text", "")) if isinstance(one, dict) else str(one) for one in pieces)


class Generate(Value):
    """`llm/generate` and `llm/chat`: `prompt`, or `messages`, or both. `file_path` and `image_path` are `files` too."""

    prompt: Words = ""
    messages: tuple[Turn, ...] = ()
    model: str | None = None
    system: Words | None = None
    context: str | None = None
    files: Texts = ()
    file_path: Texts = ()
    image_path: Texts = ()
    json_schema: dict[str, Any] | None = None
    json_output: bool = False
    temperature: Annotated[float | None, Field(allow_inf_nan=False)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    effort: Effort | None = None
    thinking_budget: Annotated[int | None, Field(ge=0)] = None
    stop: Texts = ()
    thread: str | None = None
    budget_usd: Dollars | None = None
    timeout_s: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> Generate:
        if not self.prompt.strip() and not self.messages:
            raise ValueError("`prompt` is missing, or `messages`")
        return self


class Compare(Value):
    """`llm/compare`."""

    prompt: Words | None = None
    prompts: tuple[Words, ...] = ()
    models: Annotated[tuple[str, ...], Field(min_length=2, max_length=16)]
    samples: Annotated[int, Field(ge=1, le=50)] = 1
    system: Words | None = None
    context: str | None = None
    files: Texts = ()
    file_path: Texts = ()
    image_path: Texts = ()
    json_schema: dict[str, Any] | None = None
    expect: Any = None
    judge: bool | str | tuple[str, ...] = False
    rubric: str | None = None
    temperature: Annotated[float | None, Field(allow_inf_nan=False)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    effort: Effort | None = None
    timeout_s: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _asks_something(self) -> Compare:
        if not self.prompt and not self.prompts:
            raise ValueError("`prompt` is missing, or `prompts`")
        return self


class Making(Value):
    """What each of the methods below takes besides its own."""

    model: str | None = None
    context: str | None = None
    budget_usd: Dollars | None = None
    timeout_s: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    options: dict[str, Any] = Field(default_factory=dict)


class Embed(Making):
    """`llm/embed`: one text or several."""

    input: Texts
    dimensions: Annotated[int | None, Field(ge=1)] = None
    input_type: InputType | None = None
    truncate: bool | None = None


class Image(Making):
    """`llm/image`; with `images` it changes or combines them."""

    prompt: Words
    images: Texts = ()
    mask: str | None = None
    n: Annotated[int, Field(ge=1)] = 1
    size: str | None = None
    quality: Quality | None = None
    background: Background | None = None
    format: Format | None = None


class Speech(Making):
    """`llm/speech`: the text as sound."""

    text: Words
    voice: str | None = None
    speakers: dict[str, str] = Field(default_factory=dict)
    format: Sound | None = None
    speed: float | None = None
    instructions: str | None = None
    language: str | None = None


class Transcribe(Making):
    """`llm/transcribe`: the words of a recording, by its path."""

    file: str
    language: str | None = None
    prompt: str | None = None
    timestamps: Timestamps | None = None
    diarize: bool | None = None
    translate: bool | None = None


class Python(Value):
    """`python/execute`: `inputs` are names in the code; its result is what it leaves in `result`."""

    code: Annotated[str, Field(min_length=1, max_length=256 * 1024)]
    inputs: dict[str, Any] = Field(default_factory=dict)
    timeout_s: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
