"""Who calls: the owner of an accepted bearer token over HTTP, else whoever started the process. Runs belong to one."""

from __future__ import annotations

from typing import Final

LOCAL: Final = "local"
"""The person whose process this is: over stdio, in the shell, in Python, and over loopback HTTP without tokens."""


def current() -> str:
    """The principal of the request that is being answered."""
    from mcp.server.auth.middleware.auth_context import get_access_token

    token = get_access_token()
    return LOCAL if token is None else token.subject or token.client_id
