"""What the providers of this dialect disagree on, as data for their TOML files."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field

from mcp_llm.types.chat import Effort
from mcp_llm.wires import base


class Quirks(base.Quirks):
    """What vendors and models of the Chat Completions dialect disagree on; the defaults are OpenAI's own."""

    path: str = "/chat/completions"
    """Appended to the base URL."""

    # Roles and content
    system_role: Literal["system", "developer", "user"] = "system"
    """Role of the one leading system message; `user`: its words open the first user message (no system role at all)."""
    alternate: bool = False
    """User and assistant must take turns: neighbours of one role are joined (Perplexity, some chat templates)."""
    bridge: bool = False
    """A short assistant message goes between a tool's result and a user's message (Mistral refuses them in a row)."""
    null_content: bool = True
    """An assistant message with calls only has `content: null`; False: `""` (templates that cannot take null)."""
    reasoning_field: Literal["reasoning_content", "reasoning", "reasoning_details", "content"] | None = None
    """Where earlier thinking of the same model goes back: a field of the assistant message, `reasoning_details` as they
    came (OpenRouter), `thinking` pieces of the content (Mistral); None leaves it out."""
    reasoning_required: bool = False
    """A message with calls has the field even if there is no thinking (DeepSeek, Moonshot answer 400 without it)."""

    # Media
    remote_images: bool = True
    """The vendor fetches image URLs; False: only inline data pass."""
    files: Literal["file", "document_url", "none"] = "file"
    """PDFs and other documents: a `file` part, Mistral's `document_url` part, or not at all."""
    remote_files: bool = False
    """A document may be given by URL. Always so for `document_url`; for `file` the URL goes into `file_data`."""
    audio: Literal["object", "string", "none"] = "object"
    """`input_audio` holds `{data, format}`, or the bare base64 text or URL (Mistral), or there is no audio input."""
    audio_formats: tuple[str, ...] = ("wav", "mp3")
    """What `format` may say; empty: anything."""
    video: bool = False
    """`video_url` parts pass (OpenRouter, vLLM, Alibaba, Moonshot)."""

    # Limits and sampling
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    """The name of the output cap."""
    seed_field: Literal["seed", "random_seed"] | None = "seed"
    """The name of the seed; None: it has none."""
    top_k: bool = False
    """`top_k` may be sent."""
    stream_options: bool = True
    """`stream_options.include_usage` may be sent with a stream."""

    # Tools
    tool_choice: Literal["any", "words", "none"] = "any"
    """`any`: a tool may be forced by name; `words`: only auto, none and required (a forced tool is then the only one
    offered); `none`: the field is never sent."""
    required_word: Literal["required", "any"] = "required"
    """The word that makes the model call some tool."""
    parallel_tool_calls: bool = True
    """`parallel_tool_calls` may be sent."""
    strict: Literal["auto", "omit"] = "auto"
    """Tools' `strict`: true where the schema loses nothing by it, or the key never sent."""
    tool_id: re.Pattern[str] | None = None
    """What tool-call ids must match in full (Mistral: `[A-Za-z0-9]{9}`); used when foreign history is made to fit."""

    # Structured output
    json_schema: Literal["strict", "plain", "json_object", "none"] = "strict"
    """Structured output: strict schemas, schemas as they are without `strict`, any JSON object, or in words only.

    What a level cannot do falls to `json_object`, and from there on the schema is given to the model in words.
    """
    json_object: bool = True
    """`json_object` is known; False (LM Studio): what would fall to it is asked for in words only."""

    # Reasoning. Off is asked for by effort `none` or a budget of 0, on by anything else.
    effort_field: str | None = "reasoning_effort"
    """Where the effort word goes, dotted (`reasoning.effort`); None: there is no such field."""
    levels: tuple[Effort, ...] = ()
    """Words the field takes; another one is moved to the nearest, with a warning. Empty: all. `none` counts only where
    `thinking_off` is empty."""
    efforts: dict[Effort, str] = Field(default_factory=dict)
    """Spellings of effort that differ from ours, e.g. `{ high = "default" }`."""
    budget_field: str | None = None
    """Where a thinking budget in tokens goes, dotted: `reasoning.max_tokens`, `thinking_budget`,
    `thinking.budget_tokens`. It is then sent instead of an effort word."""
    thinking_on: dict[str, Any] = Field(default_factory=dict)
    """Joined into the body when reasoning is asked for, e.g. `{ thinking = { type = "enabled" } }`."""
    thinking_off: dict[str, Any] = Field(default_factory=dict)
    """Joined into the body, in place of an effort word, when reasoning is to be off: `{ enable_thinking = false }`."""

    # Reply
    think_tags: bool = False
    """Text that begins with `<think>...</think>` is the reasoning."""
