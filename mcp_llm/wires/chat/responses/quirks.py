"""What the providers of this dialect disagree on, as data for their TOML files."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from mcp_llm.types.chat import Effort
from mcp_llm.wires import base

Extra: TypeAlias = Literal["top_k", "seed", "presence_penalty", "frequency_penalty", "stop"]


class Quirks(base.Quirks):
    """What vendors and models of the Responses dialect disagree on."""

    store: bool | None = False
    """Sent as `store`; None leaves it out (vendors that store nothing, or refuse the field)."""
    include_encrypted: bool = True
    """Ask for `reasoning.encrypted_content`. False for models that do not reason: OpenAI answers 400 for those."""
    system: Literal["instructions", "developer", "system"] = "instructions"
    """Where the system's words go: the field `instructions`, or a first item of that role."""
    effort: Literal["reasoning", "none"] = "reasoning"
    """Whether effort is sent, as `reasoning.effort`."""
    efforts: dict[Effort, str] = Field(default_factory=dict)
    """Spellings of effort that differ from ours, e.g. `{ max = "xhigh" }`."""
    budget: bool = False
    """A thinking budget is sent as `reasoning.max_tokens` (OpenRouter); else only 0 means something: effort none."""
    summary: Literal["auto", "concise", "detailed"] | None = None
    """Ask for reasoning summaries unless effort is none; for models that reason only (OpenAI: verified accounts)."""
    strict: Literal["auto", "off", "omit"] = "auto"
    """Tools' `strict`: true where the schema loses nothing by it, always false, or the key left out."""
    json_schema: Literal["strict", "plain", "json_object", "none"] = "strict"
    """Structured output: strict schemas, schemas as they are without `strict`, any JSON object, or in words only.

    What a level cannot do falls to `json_object`, and from there on the schema is given to the model in words.
    """
    min_output_tokens: int = 16
    """`max_output_tokens` below it is a 400 (OpenAI), so it is raised to it."""
    extra: tuple[Extra, ...] = ()
    """Parameters the dialect does not have but this vendor takes, under their Chat Completions names."""
    media_results: bool = True
    """Tool results may hold images and files; else these follow in a user's message."""
