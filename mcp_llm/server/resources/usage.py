"""`usage://`: what the caller's calls have used and cost, grouped as asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcp.types import Annotations, Resource, ResourceTemplate

from mcp_llm.llm import usage

from .address import Content

if TYPE_CHECKING:
    from mcp_llm.app import App

    from .address import Address

SCHEME: Final = "usage"
TEMPLATES: Final = (
    ResourceTemplate(
        uri_template="usage://{?by,since}",
        name="usage_by",
        title="Usage",
        description=f"Tokens and cost by {', '.join(usage.GROUPS)}, since 7d, 24h, today, a date or all.",
        mime_type="application/json",
    ),
)


async def listed(app: App, principal: str) -> list[Resource]:
    """The usual view."""
    return [
        Resource(
            uri="usage://",
            name="usage",
            title="Usage by model",
            description="Tokens and cost of the last 30 days by model. Unknown costs are null, never 0.",
            mime_type="application/json",
            annotations=Annotations(audience=["user"], priority=0.3),
        )
    ]


async def read(app: App, principal: str, address: Address) -> Content:
    """The sums. Raises InvalidInput for a grouping or a time that is none."""
    query = address.only("by", "since").query
    by, since = usage.group(query.get("by") or usage.GROUPS[0]), query.get("since") or usage.SINCE
    rows = await app.purse.ledger.spend(by, since=usage.begin(since), principal=principal)
    problems = usage.unread(await app.purse.ledger.damaged(principal))
    data = {"by": by, "since": since, "rows": [usage.told(row) for row in rows], "problems": problems}
    return Content(json.dumps(data, ensure_ascii=False))


async def mark(app: App, principal: str, address: Address) -> Any:
    """The number of calls made for the caller."""
    rows = await app.purse.ledger.spend("total", principal=principal)
    return [(row.calls, row.charged) for row in rows]
