"""`agents://`: the agents that `run_agent` can be given, and what each is told and allowed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp.types import Annotations, Resource, ResourceTemplate

from .address import Content

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.prompts import Prompt

    from .address import Address

SCHEME: Final = "agents"
TEMPLATES: Final = (
    ResourceTemplate(
        uri_template="agents://{name}",
        name="agent",
        title="An agent",
        description="What an agent is told, which tools and servers it has, and what it may spend.",
        mime_type="application/json",
    ),
)


async def listed(app: App, principal: str) -> list[Resource]:
    """The list, then each agent."""
    annotations = Annotations(audience=["user", "assistant"], priority=0.4)
    whole = Resource(
        uri="agents://",
        name="agents",
        title="Agents",
        description="The agents that run_agent can be given by name.",
        mime_type="application/json",
        annotations=annotations,
    )
    single = [
        Resource(
            uri=f"agents://{name}",
            name=name,
            title=prompt.front.title,
            description=prompt.front.description or None,
            mime_type="application/json",
            size=len(_whole(prompt).encode()),
            annotations=annotations,
        )
        for name, prompt in sorted(app.prompts.agents().items())
    ]
    return [whole, *single]


async def read(app: App, principal: str, address: Address) -> Content:
    """All with what they are for, or one whole. Raises InvalidInput with near misses."""
    from mcp_llm.agent.agents import find

    address.only()
    if address.path:
        return Content(_whole(find(app.prompts, address.path)))
    rows = [
        {"name": name, "title": prompt.front.title, "description": prompt.front.description}
        for name, prompt in sorted(app.prompts.agents().items())
    ]
    return Content(json.dumps({"agents": rows}, ensure_ascii=False))


def _whole(prompt: Prompt) -> str:
    front = prompt.front.model_dump(mode="json", exclude_none=True, exclude={"kind"})
    return json.dumps({"name": prompt.name, **front, "instruction": prompt.body}, ensure_ascii=False)


async def mark(app: App, principal: str, address: Address) -> Any:
    """The state of the files."""
    return app.prompts.state()
