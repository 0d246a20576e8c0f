"""Calls of the tools that make media: run as long as the host waits, and told as words, links and a receipt.

The bytes stay on disk: a host gets the link, and a view of a picture that is small; never a file as base64 in the
model's words.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent
from pydantic import Field

from mcp_llm.runs.detach import Running
from mcp_llm.runs.recorder import Recorder
from mcp_llm.types.events import Finish, Start
from mcp_llm.types.media import Made

from . import result as results
from .arguments import Arguments, Name
from .lasting import lasting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.types import ContentBlock

    from mcp_llm.llm.doing import Call

    from .run import Run

M = TypeVar("M", bound=Made)

KINDS: Final = frozenset({"embed", "image", "speech", "transcribe", "video"})
"""Runs whose results are told as here."""
SMALL: Final = 4096
"""Bytes of a picture that is shown in the reply besides being linked."""

OUTPUT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "response": {"type": "string"},
        "status": {"type": "string"},
        "run_id": {"type": "string"},
        "files": {"type": "array"},
        "cost": {"type": "object"},
        "warnings": {"type": "array"},
    },
    "required": ["run_id"],
}


class Making(Arguments):
    """What each of these tools takes besides its own arguments."""

    model: Annotated[Name | None, Field(description="provider:model or id")] = None
    context: str | None = None
    """Routing context."""
    budget_usd: Annotated[float | None, Field(ge=0)] = None
    """The most this may cost, in dollars."""
    timeout_s: Annotated[float | None, Field(gt=0)] = None
    """Seconds for the whole call."""
    wait_s: Annotated[float | None, Field(description="then hand back a run id")] = None
    options: Annotated[dict[str, Any] | None, Field(description="added to the provider's request body")] = None

    def call(self, run: Run) -> Call:
        """The same as the operation takes it."""
        return {
            "model": self.model,
            "context": self.context,
            "budget_usd": self.budget_usd,
            "timeout_s": self.timeout_s,
            "options": self.options,
            "principal": run.principal,
            "run_id": run.run_id,
            "progress": run.progress,
        }


async def make(
    run: Run,
    kind: str,
    given: Making,
    prompt: str,
    work: Callable[[], Awaitable[M]],
    *,
    recorder: Recorder | None = None,
    more: Callable[[M], dict[str, Any]] | None = None,
) -> CallToolResult:
    """Do it; the result as a host shows it, or the run that goes on.

    What streams words gives them to `recorder`; `more` is structured content that only this reply has.
    """
    done = await lasting(
        run,
        work,
        start=Start(prompt=prompt, model=given.model, kind=kind),
        request={},
        finish=lambda made: Finish(result=made.lean(), usage=made.usage, cost=made.cost),
        recorder=recorder or Recorder(),
        wait_s=given.wait_s,
    )
    if isinstance(done, Running):
        return results.running(done)
    extra = more(done) if more is not None else {}
    reply = told(done, run.host.result_chars)
    if extra:
        reply.structured_content = {**(reply.structured_content or {}), **extra}
        reply.content.insert(1, TextContent(type="text", text=json.dumps(extra, separators=(",", ":"))))
    return reply


def told(made: Made, shown: int = results.SHOWN) -> CallToolResult:
    """The words first, then the files, the receipt, and what was noticed on the way."""
    words, data = made.response, made.lean()
    if len(words) > shown:
        call = f'runs(action="read", run_id="{made.run_id}", offset={shown})'
        words = f"{words[:shown]}\n\n[the first {shown:,} of {len(words):,} characters; the rest: {call}]"
        data = {name: value for name, value in data.items() if name in {*OUTPUT["properties"], "usage", "model_used"}}
        data["response"] = words
    blocks = [words]
    blocks += [f"{one.name} ({one.mime}, {one.size:,} bytes): {one.path or one.uri}" for one in made.files]
    blocks.append(f"[{made.receipt}]")
    blocks += [f"[fell back: {one.provider}:{one.model} {one.error}: {one.message[:200]}]" for one in made.fallbacks]
    blocks += [f"[note: {note}]" for note in made.warnings]
    content: list[ContentBlock] = [TextContent(type="text", text="\n\n".join(blocks))]
    for one in made.files:
        if one.mime in {"image/png", "image/jpeg", "image/webp", "image/gif"} and 0 < len(one.data) <= SMALL:
            content.append(ImageContent(type="image", data=base64.b64encode(one.data).decode(), mime_type=one.mime))
        content.append(
            ResourceLink(type="resource_link", uri=one.uri, name=one.name, mime_type=one.mime, size=one.size)
        )
    return CallToolResult(content=content, structured_content=data)
