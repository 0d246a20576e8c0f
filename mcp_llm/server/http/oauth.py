"""Tokens of somebody else's OAuth server, for which this one is a resource: signed, issued for us, not yet over.

What it refuses: any signature but a public-key one, a token without expiry, issuer or audience, one for another
resource (RFC 9068, RFC 8707), and what is signed for other uses, as ID tokens are. It is no authorization server, and
asks none about single tokens.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio
import jwt

from mcp_llm.errors import ConfigError, Error, Garbled, InvalidInput
from mcp_llm.http.deadlines import Deadlines
from mcp_llm.wires.base import HttpRequest

from .caller import Caller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp_llm.http.transport import Transport
    from mcp_llm.settings import OAuth

LEEWAY: Final = 30
"""Seconds that clocks may differ."""
FRESH: Final = 60.0
"""Seconds that a verified token is believed without checking its signature again; never beyond its expiry."""
KEPT: Final = 1000
KEYS_FRESH: Final = 600.0
KEYS_STALE: Final = 24 * 3600.0
"""Seconds for which keys serve on when the issuer does not answer."""
KEYS_EVERY: Final = 30.0
"""Seconds between looks for a key that is not known: tokens with made-up key ids cost the issuer nothing."""
KEYS_BYTES: Final = 256 * 1024
KEYS_PATIENCE: Final = Deadlines(connect=3, first_byte=5, idle=5, total=8)
WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


ACCESS: Final = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
"""Values of a header's `typ` that an access token may have; most issuers say nothing more than `JWT`."""
OTHER: Final = frozenset({"at_hash", "c_hash", "s_hash", "events"})
"""Claims of ID tokens and logout tokens (OpenID Connect Core, Back-Channel Logout) that no access token has."""
MARKS: Final = frozenset({"scope", "scp", "client_id", "cid", "appid", "azpacr", "appidacr", "permissions"})
"""Claims of access tokens (RFC 9068; Okta's, Entra's and Auth0's own words) that no ID token has."""


class Issuer:
    """Verifies the access tokens of one issuer. `scopes` are those that a caller has to have, all of them."""

    def __init__(self, settings: OAuth, transport: Callable[[], Transport]) -> None:
        self.scopes = settings.scopes
        self._settings = settings
        self._audience = settings.audience or settings.resource
        # A client's id, perhaps, which is what ID tokens are for; our URL is no client.
        self._marked = self._audience != settings.resource
        self._host = urlsplit(settings.issuer).hostname or settings.issuer
        self._keys = Keys(settings.jwks_url, transport) if settings.jwks_url else None
        self._key = _public(settings.key) if settings.key else None
        self._accepted: dict[bytes, tuple[float, Caller]] = {}

    async def caller(self, token: str) -> Caller | None:
        """Whose it is; None for any that is not good. Raises Error when the issuer's keys cannot be had."""
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        seen = self._accepted.get(digest)
        if seen is not None and seen[0] > time.time():
            return seen[1]
        self._accepted.pop(digest, None)
        try:
            claims = await self._claims(token)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            return None
        caller = self._caller(claims)
        if caller is not None:
            if len(self._accepted) >= KEPT:
                self._accepted.clear()
            self._accepted[digest] = (min(time.time() + FRESH, float(claims["exp"]) + LEEWAY), caller)
        return caller

    async def revoked(self, token: str) -> bool:
        """Never, as far as anybody tells us: a signed token is good until its time is over."""
        return False

    async def _claims(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        kind = str(header.get("typ") or "").lower()
        if kind not in ACCESS:
            raise jwt.InvalidTokenError("not an access token")
        if algorithm not in self._settings.algorithms:
            raise jwt.InvalidAlgorithmError(str(algorithm)[:20])
        key: Any = self._key if self._keys is None else await self._keys.find(header.get("kid"), algorithm)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._audience,
            issuer=self._settings.issuer,
            leeway=LEEWAY,
            options={"require": ["exp", "iss", "aud"]},
        )
        if not _access(claims) or (self._marked and "at+jwt" not in kind and not _shows(claims)):
            raise jwt.InvalidTokenError("not an access token")
        return claims

    def _caller(self, claims: dict[str, Any]) -> Caller | None:
        """The subject, with its issuer's host: it can be neither another issuer's nor the name of a token of ours."""
        subject = claims.get("sub") or claims.get("client_id") or claims.get("azp")
        if not isinstance(subject, str) or not subject.isprintable() or len(subject) > 200:
            return None
        said = claims.get("scope", claims.get("scp", ""))
        scopes = (
            tuple(said.split()) if isinstance(said, str) else tuple(map(str, said)) if isinstance(said, list) else ()
        )
        return Caller(f"{subject}@{self._host}", issuer=self._settings.issuer, scopes=scopes)


class Keys:
    """The issuer's public keys, fetched when one is missing and kept."""

    def __init__(self, url: str, transport: Callable[[], Transport]) -> None:
        self._url = url
        self._transport = transport
        self._keys: list[jwt.PyJWK] = []
        self._fetched = self._tried = -KEYS_STALE
        self._lock = anyio.Lock()

    async def find(self, kid: object, algorithm: str) -> Any:
        """The key of this id, or the only one for the algorithm. Raises InvalidKeyError; Error if none can be had."""
        if (key := self._known(kid, algorithm)) is not None and time.monotonic() - self._fetched <= KEYS_FRESH:
            return key.key
        async with self._lock:
            now = time.monotonic()
            key = self._known(kid, algorithm)
            if now - self._fetched > (KEYS_FRESH if key else KEYS_EVERY) and now - self._tried > KEYS_EVERY:
                self._tried = now
                try:
                    self._keys = await self._fetch()
                    self._fetched = now
                except Error:
                    if now - self._fetched > KEYS_STALE:
                        self._keys = []
                        raise
                key = self._known(kid, algorithm)
        if key is None:
            if not self._keys:
                raise Garbled("the issuer's keys are not to be had")
            raise jwt.InvalidKeyError("no such key")
        return key.key

    def _known(self, kid: object, algorithm: str) -> jwt.PyJWK | None:
        fit = [key for key in self._keys if key.key_type == _kind(algorithm)]
        if kid is None:
            return fit[0] if len(fit) == 1 else None
        return next((key for key in fit if key.key_id == kid), None)

    async def _fetch(self) -> list[jwt.PyJWK]:
        parts = urlsplit(self._url)
        request = HttpRequest("GET", parts.path or "/", headers={"accept": "application/json"})
        base = f"{parts.scheme}://{parts.netloc}{f'?{parts.query}' if parts.query else ''}"
        data = b""
        async with self._transport().stream(base, request, {}, KEYS_PATIENCE) as exchange:
            async for piece in exchange.chunks():
                data += piece
                if len(data) > KEYS_BYTES:
                    raise Garbled(f"the issuer's key set is over {KEYS_BYTES // 1024} KiB")
            if exchange.status != 200:
                raise Garbled(f"the issuer answered HTTP {exchange.status} for its keys")
        try:
            found = jwt.PyJWKSet.from_json(data.decode())
        except (jwt.PyJWTError, ValueError, AttributeError, TypeError):
            raise Garbled("the issuer's key set is none") from None
        return [key for key in found.keys if key.public_key_use in {None, "sig"} and key.key_type != "oct"]


def _access(claims: Mapping[str, Any]) -> bool:
    """Whether this is for calling with: issuers that use one `typ` for all say it in a claim, or show it by others."""
    if OTHER & claims.keys() or claims.get("token_use", "access") != "access":  # Cognito's word
        return False
    if str(claims.get("typ", "Bearer")).lower() in {"id", "refresh", "offline", "logout"}:  # Keycloak's
        return False
    # A nonce is what a client asked an ID token to have. Some issuers repeat it in access tokens, which have a scope.
    return "nonce" not in claims or bool({"scope", "scp"} & claims.keys())


def _shows(claims: Mapping[str, Any]) -> bool:
    """Whether it says by itself that it is for calling with."""
    return bool(MARKS & claims.keys()) or claims.get("token_use") == "access" or claims.get("typ") == "Bearer"


def _kind(algorithm: str) -> str:
    return {"RS": "RSA", "PS": "RSA", "ES": "EC"}.get(algorithm[:2], "OKP")


def _public(key: str) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(key.encode())
    except ValueError:
        raise ConfigError("[http.oauth] key is no PEM public key (-----BEGIN PUBLIC KEY-----)") from None


def metadata(settings: OAuth) -> dict[str, Any]:
    """What RFC 9728 has a resource say of itself."""
    said = {
        "resource": settings.resource,
        "authorization_servers": [settings.issuer],
        "bearer_methods_supported": ["header"],
        "scopes_supported": list(settings.scopes),
        "resource_name": "mcp-llm",
    }
    return {name: value for name, value in said.items() if value}


def metadata_paths(settings: OAuth) -> tuple[str, str]:
    """Where it says so: for the resource's path, and for clients that only look at the root."""
    return WELL_KNOWN + urlsplit(settings.resource).path.rstrip("/"), WELL_KNOWN


def challenge(settings: OAuth) -> str:
    """The part of WWW-Authenticate that leads there."""
    parts = urlsplit(settings.resource)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise InvalidInput("[http.oauth] resource has to be this server's URL as clients call it")
    url = f"{parts.scheme}://{parts.netloc}{metadata_paths(settings)[0]}"
    scopes = f', scope="{" ".join(settings.scopes)}"' if settings.scopes else ""
    return f'resource_metadata="{url}"{scopes}'
