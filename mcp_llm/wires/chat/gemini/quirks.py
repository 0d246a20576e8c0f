"""What the providers of this dialect disagree on, as data for their TOML files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mcp_llm.types.chat import Effort
from mcp_llm.wires import base


class Place(base.Quirks):
    """Where the methods of a model are, for every operation alike."""

    version: str = "v1beta"
    """API version in the path; previews and `*-latest` aliases exist only on `v1beta`."""
    path: str = "/{version}/models/{model}:{method}"
    """Template under the base URL. Vertex: `/publishers/google/models/{model}:{method}`, the rest in `base_url`."""


class Quirks(Place):
    """What the models and front doors of this dialect disagree on."""

    thinking: Literal["level", "budget", "none"] = "level"
    """How reasoning is steered: `thinkingLevel` (3 and later), `thinkingBudget` (2.5), or the model does not think."""
    levels: tuple[Effort, ...] = Field(default=("minimal", "low", "medium", "high"), min_length=1)
    """The `thinkingLevel` words the model takes; another effort is moved to the nearest, with a warning."""
    budget_min: int = 0
    """Smallest `thinkingBudget`; above 0 thinking cannot be turned off (128 on 2.5-pro)."""
    budget_max: int = 24576
    """Largest `thinkingBudget` (32768 on 2.5-pro)."""
    include_thoughts: bool = False
    """Ask for thought summaries in every request that does not turn thinking off; set it where models think."""
    json_mode: Literal["json_schema", "schema", "none"] = "json_schema"
    """Structured output: `responseJsonSchema`, the OpenAPI subset `responseSchema`, or in words only."""
    json_with_tools: bool = True
    """A response schema may go with function declarations (3 and later); else it is asked for in words."""
    tool_schema: Literal["json_schema", "schema"] = "json_schema"
    """Function parameters as `parametersJsonSchema`, or as the OpenAPI subset `parameters`."""
    dummy_signature: bool = True
    """Sign unsigned function calls of foreign history with the documented placeholder (needed by 3 and later)."""
    call_ids: bool = True
    """Send ids with calls and results of hand-made or foreign history (the wire's own calls keep what they had)."""
    stream_arguments: bool = False
    """Ask for `streamFunctionCallArguments` (Vertex only)."""
    result_media: bool = True
    """`functionResponse.parts` may hold media (3 and later); else media follow as parts of the same turn."""
    media_urls: bool = True
    """`fileData.fileUri` takes any https URL; else only Files API, `gs://` and YouTube addresses."""
    system: bool = True
    """Takes `systemInstruction`; else (Gemma) the words go in front of the first user turn."""
