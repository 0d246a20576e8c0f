"""One MCP server that gives any MCP host every LLM; the same functions as a Python library.

Names are loaded when they are first used: importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp_llm.api import acompare_models as acompare_models
    from mcp_llm.api import acount_tokens as acount_tokens
    from mcp_llm.api import agenerate as agenerate
    from mcp_llm.api import agenerate_result as agenerate_result
    from mcp_llm.api import compare_models as compare_models
    from mcp_llm.api import count_tokens as count_tokens
    from mcp_llm.api import generate as generate
    from mcp_llm.api import generate_result as generate_result
    from mcp_llm.api import register_provider as register_provider
    from mcp_llm.api import run_agent as run_agent
    from mcp_llm.api import stream as stream
    from mcp_llm.batching import Batch as Batch
    from mcp_llm.batching import BatchRequest as BatchRequest
    from mcp_llm.compare.result import Compared as Compared
    from mcp_llm.errors import Error as Error
    from mcp_llm.media import aembed as aembed
    from mcp_llm.media import agenerate_image as agenerate_image
    from mcp_llm.media import agenerate_video as agenerate_video
    from mcp_llm.media import aspeak as aspeak
    from mcp_llm.media import atranscribe as atranscribe
    from mcp_llm.media import embed as embed
    from mcp_llm.media import generate_image as generate_image
    from mcp_llm.media import generate_video as generate_video
    from mcp_llm.media import speak as speak
    from mcp_llm.media import transcribe as transcribe
    from mcp_llm.provider import get_provider as get_provider
    from mcp_llm.recorded import diff_runs as diff_runs
    from mcp_llm.recorded import record_run as record_run
    from mcp_llm.recorded import replay_run as replay_run
    from mcp_llm.recorded import rerun_agent as rerun_agent
    from mcp_llm.steps import run_workflow as run_workflow
    from mcp_llm.talking import realtime as realtime
    from mcp_llm.toolsets.protocol import ProtocolProvider as ProtocolProvider
    from mcp_llm.types.chat import ToolSpec as ToolSpec
    from mcp_llm.types.message import Media as Media
    from mcp_llm.types.message import Message as Message
    from mcp_llm.types.message import Text as Text
    from mcp_llm.types.result import Generated as Generated
    from mcp_llm.workflow.schema import WorkflowResult as WorkflowResult

__version__ = "0.1.0"

_HOMES = {
    "Batch": "mcp_llm.batching",
    "BatchRequest": "mcp_llm.batching",
    "Compared": "mcp_llm.compare.result",
    "Error": "mcp_llm.errors",
    "Generated": "mcp_llm.types.result",
    "Media": "mcp_llm.types.message",
    "Message": "mcp_llm.types.message",
    "ProtocolProvider": "mcp_llm.toolsets.protocol",
    "Text": "mcp_llm.types.message",
    "ToolSpec": "mcp_llm.types.chat",
    "WorkflowResult": "mcp_llm.workflow.schema",
    "acompare_models": "mcp_llm.api",
    "acount_tokens": "mcp_llm.api",
    "aembed": "mcp_llm.media",
    "agenerate": "mcp_llm.api",
    "agenerate_image": "mcp_llm.media",
    "agenerate_result": "mcp_llm.api",
    "count_tokens": "mcp_llm.api",
    "diff_runs": "mcp_llm.recorded",
    "embed": "mcp_llm.media",
    "generate": "mcp_llm.api",
    "generate_image": "mcp_llm.media",
    "generate_result": "mcp_llm.api",
    "compare_models": "mcp_llm.api",
    "get_provider": "mcp_llm.provider",
    "record_run": "mcp_llm.recorded",
    "realtime": "mcp_llm.talking",
    "register_provider": "mcp_llm.api",
    "replay_run": "mcp_llm.recorded",
    "rerun_agent": "mcp_llm.recorded",
    "atranscribe": "mcp_llm.media",
    "transcribe": "mcp_llm.media",
    "aspeak": "mcp_llm.media",
    "speak": "mcp_llm.media",
    "agenerate_video": "mcp_llm.media",
    "generate_video": "mcp_llm.media",
    "run_agent": "mcp_llm.api",
    "run_workflow": "mcp_llm.steps",
    "stream": "mcp_llm.api",
}

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
