"""A comparison asked for on a page: checked like the tool's call, then a run like any other, driven by this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from mcp_llm.errors import InvalidInput
from mcp_llm.server.comparing import KIND, Onward
from mcp_llm.server.principal import LOCAL
from mcp_llm.server.tools import compare_models
from mcp_llm.server.tools.published import explain

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.runs.journal import Journal

FIELDS: Final = ("prompt", "models", "system", "expect", "judge", "budget_usd")
"""Arguments of the tool that the page has a field for."""


async def comparison(app: App, body: dict[str, Any]) -> tuple[Journal, Onward]:
    """The run, and who drives it. Raises InvalidInput, in the tool's words, for what can be no comparison."""
    from mcp_llm.compare.asked import check

    if unknown := sorted(body.keys() - set(FIELDS)):
        raise InvalidInput(f"there is no field `{unknown[0][:60]}`; there are {', '.join(FIELDS)}")
    arguments = {name: value for name, value in body.items() if value not in (None, "", False)}
    try:
        ask = compare_models.read(arguments, LOCAL)
    except ValidationError as exc:
        raise InvalidInput(explain(exc, list(FIELDS))) from None
    check(ask)
    journal = await app.journals.create(KIND, {"arguments": arguments}, LOCAL, model=", ".join(ask.models))
    return journal, Onward(app, compare_models.read)
