"""What the providers of this dialect disagree on, as data for their TOML files."""

from __future__ import annotations

import re
from typing import Literal

from mcp_llm.wires import base


class Quirks(base.Quirks):
    """What the models and front doors of this dialect disagree on. The defaults are the newest models' behaviour."""

    path: str = "/v1/messages"
    """Template under the base URL, with `{model}`. Vertex: `/publishers/anthropic/models/{model}:rawPredict`."""
    stream_path: str | None = None
    """Template for streams where it is another one. Vertex: `/publishers/anthropic/models/{model}:streamRawPredict`."""
    version: str | None = "2026-10-21"
    """The `anthropic-version` header; None sends none (compatible servers)."""
    version_in_body: bool = False
    """Vertex: `anthropic_version` is a field of the body, no header is sent, and `model` is left out of the body."""
    sampling_version: str | None = None
    """The version to send when temperature, top_p or top_k is set: "2023-06-01" for models before 4.7 (on Vertex
    "vertex-2023-10-16"), the same as `version` for compatible servers; "" sends no header. None: the model refuses
    sampling parameters, they are left out with a warning."""
    default_max_tokens: int = 8192
    """`max_tokens` where the request has none: the API requires it. A thinking budget is added to it."""
    max_output: int | None = None
    """The most `max_tokens` the model takes; a thinking budget that needs more is lowered (budget models only)."""
    thinking: Literal["adaptive", "budget", "both", "none"] = "adaptive"
    """What `thinking` the model takes: `adaptive` (4.7 and later), `enabled` with a budget (4.5 and earlier), both
    (4.6), or the model does not think (before 3.7)."""
    thinking_default: bool = False
    """The model thinks unasked (5 and later), so `adaptive` with `display` is sent in every request: else what it
    thinks would not be shown."""
    thinking_off: Literal["disabled", "between_tools"] | None = "disabled"
    """How thinking is turned off; None: it cannot be (fable, mythos, opus-5-5). `between_tools`: sonnet-5-5."""
    display: Literal["summarized", "omitted"] | None = "summarized"
    """Sent with `thinking`: 4.7 and later keep their reasoning to themselves when not asked for it. None where the
    field is unknown (compatible servers) or needless (4.6 and earlier)."""
    effort: bool = True
    """`output_config.effort` is taken (opus-4-5, and all from 4.6 on). False: an effort becomes a thinking budget."""
    json_mode: Literal["schema", "tool", "none"] = "schema"
    """Structured output: `output_config.format` (4.5 and later), one forced tool (older), or in words only."""
    forced_tools: bool = True
    """`tool_choice` may force a tool (thinking is then off). False (fable and mythos 5.1 and 5.2, opus-5-5,
    sonnet-5-5): it is asked for in words."""
    strict_tools: bool = True
    """Tools may be `strict` (4.5 and later); else the field is left out."""
    unsigned_thinking: bool = False
    """Thinking without a signature goes back as it is (compatible servers that sign nothing); else it is left out."""
    media_urls: bool = True
    """Images and PDFs may be URLs. False on Bedrock and Vertex: raised as `Unsupported`."""
    tool_id: re.Pattern[str] | None = re.compile(r"[A-Za-z0-9_-]{1,64}")
    """What the id of a tool call has to match."""
