"""`models://`: what can be asked, and what is known of one model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp.types import Annotations, Resource, ResourceTemplate

from mcp_llm.errors import ConfigError, InvalidInput

from .address import Content

if TYPE_CHECKING:
    from mcp_llm.app import App

    from .address import Address

SCHEME: Final = "models"
TEMPLATES: Final = (
    ResourceTemplate(
        uri_template="models://{+name}",
        name="model",
        title="A model",
        description="What is known of one model: capabilities, limits, price.",
        mime_type="application/json",
    ),
)
FRESH_MS: Final = 60_000
"""Keys and local servers come and go, but not by the second."""


async def listed(app: App, principal: str) -> list[Resource]:
    """The list of models; single ones are completed."""
    return [
        Resource(
            uri="models://",
            name="models",
            title="Models",
            description="Which models can be asked now: capabilities, context, price; and which keys are missing.",
            mime_type="application/json",
            annotations=Annotations(audience=["user", "assistant"], priority=0.6),
        )
    ]


async def read(app: App, principal: str, address: Address) -> Content:
    """The listing, or one row of it. Raises InvalidInput for a model that nobody could ask."""
    from mcp_llm.llm.listing import list_models

    address.only()
    if not address.path:
        listing = await list_models(app)
        return Content(listing.model_dump_json(exclude_none=True), fresh_ms=FRESH_MS)
    try:
        target = app.catalog.find(address.path)
    except ConfigError as exc:
        raise InvalidInput(str(exc)) from None
    listing = await list_models(app, provider=target.provider_id)
    row = next((row for row in listing.models if row.model == target.name), None)
    data = row.model_dump(mode="json") if row else {"model": target.name, "provider": target.provider_id}
    return Content(json.dumps(data, ensure_ascii=False), fresh_ms=FRESH_MS)


async def mark(app: App, principal: str, address: Address) -> Any:
    """Nothing: asking every provider every second is not what a subscription is for."""
    return None
