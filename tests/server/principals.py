"""Being somebody: what the server's bearer check leaves behind for the requests of a connection."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Connections opened inside are this person's."""
    user = AuthenticatedUser(AccessToken(token="t", client_id="host", scopes=[], subject=name))
    token = auth_context_var.set(user)
    try:
        yield
    finally:
        auth_context_var.reset(token)
