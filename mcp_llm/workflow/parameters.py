"""What the built-in methods take, under the names that the tools of the same names have."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from mcp_llm.types.chat import Effort
from mcp_llm.types.message import Value

Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Words = Annotated[
    str, BeforeValidator(lambda value: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
]
"""Text; anything else that a reference brings is said as JSON."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""Several texts, or one."""


class Turn(Value):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Words


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


class Python(Value):
    """`python/execute`: `inputs` are names in the code; its result is what it leaves in `result`."""

    code: Annotated[str, Field(min_length=1, max_length=256 * 1024)]
    inputs: dict[str, Any] = Field(default_factory=dict)
    timeout_s: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
