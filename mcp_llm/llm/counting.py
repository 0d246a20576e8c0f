"""How many input tokens a request has: by the provider's own counter where it has one, else guessed and said to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_llm.errors import Error
from mcp_llm.types.message import Value
from mcp_llm.wires import tokens as wires

from . import parameters

if TYPE_CHECKING:
    from mcp_llm.catalog.find import Target
    from mcp_llm.types.chat import ChatRequest

    from .models import Models


class TokenCount(Value):
    """Input `tokens` of a request to a `model` of a `provider`; `exact` is False for a guess, four characters each."""

    tokens: int
    exact: bool
    model: str
    provider: str


async def count(models: Models, request: ChatRequest, target: Target) -> TokenCount:
    """Ask the provider's counter (free of charge where vendors have one); any trouble with it means a guess."""
    fitted, _ = parameters.fit(request, target)
    name = target.provider.wires.get("tokens")
    exact = None
    if name is not None:
        wire = wires.wire(name)
        try:
            http = wire.encode(fitted, target.model_id, models.catalog.quirks(target.provider_id, "tokens"))
            exact = wire.decode(await models.call(target.provider_id, http))
        except Error:
            exact = None
    return TokenCount(
        tokens=parameters.estimate_tokens(fitted) if exact is None else exact,
        exact=exact is not None,
        model=target.model_id,
        provider=target.provider_id,
    )
