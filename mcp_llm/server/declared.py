"""What a client declares that it can do, where that decides how it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp_types.version import MODERN_PROTOCOL_VERSIONS

if TYPE_CHECKING:
    from mcp.server.session import ServerSession

MODERN: Final = frozenset(MODERN_PROTOCOL_VERSIONS)
"""Versions of the protocol without a handshake."""
TASKS: Final = "io.modelcontextprotocol/tasks"
"""The extension by which a call that takes long is handed out as a task."""


def tasks(session: ServerSession) -> bool:
    """Whether the client of this request takes tasks."""
    capabilities = session.client_capabilities
    extensions = capabilities.extensions if capabilities is not None else None
    return session.protocol_version in MODERN and TASKS in (extensions or {})


def forms(session: ServerSession) -> bool:
    """Whether the client declares that it shows forms; one that says nothing of modes does."""
    capabilities = session.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)
