"""Signing in at remote servers, on the SDK's OAuth client: what it lacks is memory across processes, and a person.

What signing in gave - tokens, the registration, where to refresh - is one file for each server, mode 0600. It is bound
to the server's URL and to the authorization server that it came from.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import anyio.to_thread
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.auth.utils import union_scopes
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)
from pydantic import AnyUrl, BaseModel, ValidationError

from mcp_llm.errors import ToolFailed

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.settings import SignIn

EARLY: Final = 30.0
"""Seconds before its end that a token counts as over: it has to last for the way."""
LONGEST: Final = 1e11
"""Seconds that a token is taken to last at most, some thousand years."""
_SENDABLE: Final = re.compile(r"[!-~]{1,16384}")
Model = TypeVar("Model", bound=BaseModel)
NOWHERE: Final = "http://127.0.0.1/callback"
"""The redirect of a process in which nobody can be asked; it is never used."""


class Person(Protocol):
    """Somebody who can be sent to a page and brings an answer back, at `redirect`."""

    redirect: str

    async def show(self, url: str) -> None:
        """Send them there."""

    async def answer(self) -> AuthorizationCodeResult:
        """What they came back with."""


class Kept:
    """What signing in gave, in a file or, without one, for this process only."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.data: dict[str, Any] = {}

    async def load(self) -> None:
        """Read it again: another process may have refreshed it. A file that is broken counts as none."""
        if self._file is not None:
            self.data = await anyio.to_thread.run_sync(_read, self._file)

    async def save(self, **changed: Any) -> None:
        """Write it with these fields changed."""
        self.data = {**self.data, **changed}
        if self._file is not None:
            await anyio.to_thread.run_sync(_write, self._file, self.data)

    @property
    def ends(self) -> float | None:
        """When the token is over, in epoch seconds; None: nobody said. What is no time counts as over."""
        said = self.data.get("expires")
        if said is None:
            return None
        usable = isinstance(said, int | float) and not isinstance(said, bool) and abs(said) < 10 * LONGEST
        return float(said) if usable else 0.0

    async def get_tokens(self) -> OAuthToken | None:
        """For the SDK."""
        await self.load()
        return _value(OAuthToken, self.data.get("tokens"))

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """For the SDK. Raises ToolFailed for a token that cannot be sent."""
        if not _SENDABLE.fullmatch(tokens.access_token):
            raise ToolFailed("its token is too long or holds characters that no header may have")
        expires = None if tokens.expires_in is None else time.time() + tokens.expires_in
        await self.save(tokens=_plain(tokens), expires=expires)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """For the SDK."""
        return _value(OAuthClientInformationFull, self.data.get("client"))

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """For the SDK."""
        await self.save(client=_plain(client_info))


class _Asking(OAuthClientProvider):
    """As a person. Goes on where an earlier process left off, with its refresh token."""

    def __init__(
        self, kept: Kept, scopes: tuple[str, ...], client: OAuthClientInformationFull | None, **given: Any
    ) -> None:
        super().__init__(storage=kept, **given)
        self._kept, self._scopes, self._client = kept, scopes, client

    async def _initialize(self) -> None:
        await super()._initialize()
        if self._client is not None:
            self.context.client_info = self._client
        ends = self._kept.ends
        self.context.token_expiry_time = None if ends is None else ends - EARLY
        # Without these a refresh would go to the server itself, and not to where the tokens came from.
        self.context.oauth_metadata = _value(OAuthMetadata, self._kept.data.get("metadata"))
        self.context.protected_resource_metadata = _value(ProtectedResourceMetadata, self._kept.data.get("resource"))
        server = self._kept.data.get("authorization_server")
        self.context.auth_server_url = server if isinstance(server, str) else None

    async def _perform_authorization(self) -> Any:
        metadata, server = self.context.client_metadata, self.context.oauth_metadata
        if server is not None and "S256" not in (server.code_challenge_methods_supported or ()):
            raise ToolFailed("its authorization server does not say that it supports PKCE with S256, and codes need it")
        if self._scopes:
            metadata.scope = union_scopes(metadata.scope, " ".join(self._scopes))
        return await super()._perform_authorization()

    async def _handle_token_response(self, response: Any) -> None:
        await super()._handle_token_response(response)
        context = self.context
        await self._kept.save(
            metadata=_plain(context.oauth_metadata),
            resource=_plain(context.protected_resource_metadata),
            authorization_server=context.auth_server_url,
        )

    async def _handle_refresh_response(self, response: Any) -> bool:
        used = self.context.current_tokens
        if await super()._handle_refresh_response(response):
            return True
        # A refresh token may work once: perhaps another process was faster, and kept what it got.
        tokens = await self._kept.get_tokens()
        if tokens is None or used is None or tokens.refresh_token == used.refresh_token:
            return False
        self.context.current_tokens = tokens
        self.context.token_expiry_time = self._kept.ends
        return self.context.is_token_valid()


def signer(
    name: str, url: str, settings: SignIn, secret: str | None, key: str | None, file: Path | None, person: Person | None
) -> OAuthClientProvider:
    """What signs requests to the server `name` at `url`. Only a `person` can sign in; a program does so by itself."""
    if settings.grant == "client_credentials":
        return _program(url, settings, secret, key)
    who = person or _Nobody(name)
    client = None
    if settings.client_id is not None:
        client = OAuthClientInformationFull(
            client_id=settings.client_id,
            client_secret=secret,
            redirect_uris=[AnyUrl(who.redirect)],
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            issuer=settings.issuer,
        )
    return _Asking(
        Kept(file),
        settings.scopes,
        client,
        server_url=url,
        client_metadata=OAuthClientMetadata(
            client_name="mcp-llm",
            redirect_uris=[AnyUrl(who.redirect)],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
        ),
        redirect_handler=who.show,
        callback_handler=who.answer,
        client_metadata_url=settings.client_metadata_url,
    )


def _program(url: str, settings: SignIn, secret: str | None, key: str | None) -> OAuthClientProvider:
    assert settings.client_id is not None
    scope = " ".join(settings.scopes) or None
    if key is None:
        assert secret is not None
        return ClientCredentialsOAuthProvider(
            url, Kept(None), settings.client_id, secret, scope=scope, issuer=settings.issuer
        )
    signed = SignedJWTParameters(
        issuer=settings.client_id,
        subject=settings.client_id,
        signing_algorithm=settings.algorithm,
        signing_key=key,
    )
    return PrivateKeyJWTOAuthProvider(
        url, Kept(None), settings.client_id, signed.create_assertion_provider(), scope=scope, issuer=settings.issuer
    )


class _Nobody:
    """The person of a process that serves: there is none."""

    redirect = NOWHERE

    def __init__(self, name: str) -> None:
        self._name = name

    async def show(self, url: str) -> None:
        raise ToolFailed(f"somebody has to sign in: `mcp-llm servers login {self._name}`")

    async def answer(self) -> AuthorizationCodeResult:
        raise ToolFailed("nobody is here to answer")


def _value(kind: type[Model], data: Any) -> Model | None:
    if data is None:
        return None
    try:
        return kind.model_validate(data)
    except ValidationError:
        return None


def _plain(value: Any) -> Any:
    return None if value is None else value.model_dump(mode="json", exclude_none=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _write(file: Path, data: dict[str, Any]) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # made 0600
        try:
            with os.fdopen(number, "w", encoding="utf-8") as new:
                json.dump(data, new)
            os.replace(name, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise ToolFailed(f"the tokens cannot be kept ({error.strerror}): look at the home folder's rights") from None
