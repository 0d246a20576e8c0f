"""What every tool's arguments have in common, as a pydantic model that pages and stored runs read too."""

from __future__ import annotations

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import ConfigDict


class Arguments(ArgModelBase):
    """The base of a tool's arguments: unknown names are errors."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)
