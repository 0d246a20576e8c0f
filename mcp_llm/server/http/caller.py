"""Somebody who calls over HTTP, as a verified token says, or the owner of the process where none is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from mcp_llm.server.principal import LOCAL


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what may be called: globs of tools, None for all. `issuer` is empty for tokens of our own."""

    principal: str
    tools: tuple[str, ...] | None = None
    issuer: str = ""
    scopes: tuple[str, ...] = ()

    def user(self) -> AuthenticatedUser:
        """As the SDK wants it: sessions and sealed states are bound to it. The token itself is left out."""
        claims: dict[str, Any] = {"iss": self.issuer}
        return AuthenticatedUser(
            AccessToken(
                token="", client_id=self.principal, subject=self.principal, scopes=list(self.scopes), claims=claims
            )
        )


OWNER: Final = Caller(LOCAL)


class Verifier(Protocol):
    """Knows some tokens."""

    async def caller(self, token: str) -> Caller | None:
        """Whose it is; None for one that is not good. Raises Error when that cannot be found out now."""

    async def revoked(self, token: str) -> bool:
        """Whether one that was good has been taken back since; that its time is over does not count. Raises Error."""
