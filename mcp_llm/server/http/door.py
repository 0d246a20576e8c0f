"""Who comes in: the bearer token of a request, asked of whoever can verify it; without one only where none is needed.

A token counts in the Authorization header and nowhere else, and nothing of it goes further: not into a log, not to a
handler, not to a provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from mcp_llm.errors import Error

from .caller import OWNER, Caller
from .replies import busy, refuse
from .tokens import TOKEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Scope, Send

    from .caller import Verifier
    from .oauth import Issuer
    from .tokens import Tokens

LONGEST: Final = 8192
"""Characters of a token."""
IN_QUERY: Final = frozenset({"token", "access_token", "api_key", "apikey", "key", "authorization"})


class Own:
    """Verifies the tokens that `mcp-llm token create` made."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def caller(self, token: str) -> Caller | None:
        """Whose it is."""
        owner = await self._tokens.verify(token)
        return None if owner is None else Caller(owner.name, owner.tools)

    async def revoked(self, token: str) -> bool:
        """Whether it has been taken back."""
        return await self._tokens.revoked(token)


class Door:
    """Lets callers in. `required`: nobody without a token; `challenge` is what a 401 says of where to get one."""

    def __init__(
        self, own: Verifier | None, foreign: Issuer | None = None, *, required: bool, challenge: str = ""
    ) -> None:
        self._own = own
        self._foreign = foreign
        self._required = required
        self._challenge = challenge

    async def admit(self, scope: Scope, send: Send) -> Caller | None:
        """Who calls; None when the request has been answered with a refusal."""
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        query = parse_qsl(scope["query_string"].decode("latin-1"), True) if scope["query_string"] else ()
        if IN_QUERY.intersection(name.lower() for name, _ in query):
            words = "a token belongs into the Authorization header; this one is in logs now: revoke it"
            await self._refuse(send, 400, words, "invalid_request")
            return None
        if not given:
            if not self._required:
                return OWNER
            words = "this server wants `Authorization: Bearer TOKEN`; `mcp-llm token create NAME` makes one"
            await self._refuse(send, 401, words)
            return None
        scheme, _, token = given[0].decode("latin-1").partition(" ")
        token = token.strip()
        if len(given) > 1 or scheme.lower() != "bearer" or not token or len(token) > LONGEST:
            await self._refuse(send, 401, "the Authorization header is not one `Bearer TOKEN`", "invalid_request")
            return None
        verifier = self._verifier(token)
        try:
            caller = await verifier.caller(token) if verifier is not None else None
        except Error:  # a store or an issuer that does not answer; its words are not for strangers
            await busy(send, 503, "whose token this is cannot be found out now; try again in a moment", 5)
            return None
        if caller is None:
            await self._refuse(
                send, 401, "this token is unknown, revoked, expired or not for this server", "invalid_token"
            )
            return None
        if missing := self._missing(caller):
            words = f"the token lacks the scope {' '.join(missing)}"
            await self._refuse(send, 403, words, "insufficient_scope")
            return None
        return caller

    async def lets_stay(self, scope: Scope, *, expired: bool) -> bool:
        """Whether a request that was admitted may go on: not once its token is revoked, nor, unless `expired`, over.

        Where that cannot be known now, it may.
        """
        given = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if given is None:
            return True
        token = given.decode("latin-1").partition(" ")[2].strip()
        if (verifier := self._verifier(token)) is None:
            return False
        try:
            return not await verifier.revoked(token) if expired else await verifier.caller(token) is not None
        except Error:
            return True

    def _verifier(self, token: str) -> Verifier | None:
        return self._own if self._foreign is None or TOKEN.fullmatch(token) else self._foreign

    def _missing(self, caller: Caller) -> Sequence[str]:
        wanted = self._foreign.scopes if self._foreign is not None and caller.issuer else ()
        return [scope for scope in wanted if scope not in caller.scopes]

    async def _refuse(self, send: Send, status: int, words: str, error: str = "") -> None:
        parts = [f'error="{error}"'] if error else []
        parts += [self._challenge] if self._challenge else []
        value = f"Bearer {', '.join(parts)}" if parts else 'Bearer realm="mcp-llm"'
        await refuse(send, status, words, [(b"www-authenticate", value.encode("latin-1", "replace"))])
