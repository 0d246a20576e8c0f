"""The way to a provider: its base URL and its key as headers, or the reason there is none. Looked up once a process.

Base URLs and their placeholders come from the environment, the user's own files and the catalog; never from a caller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mcp_llm.catalog import address
from mcp_llm.errors import AuthError, ConfigError, MissingKey
from mcp_llm.redactor import Hidden

if TYPE_CHECKING:
    from mcp_llm.catalog.find import Target
    from mcp_llm.catalog.schema import Provider
    from mcp_llm.config import Config
    from mcp_llm.errors import ProviderError

LONG: Final = 20
"""Characters of a key from which on its last four are shown."""
MAX_MESSAGE: Final = 500
"""Characters of a provider's own words that are kept."""
FIXES: Final = {
    "quota": "Money or quota of this account is used up: top it up, or name another provider.",
    "not_found": "`list_models` shows which models there are; if this is one of them, check the base URL.",
    "context_too_long": "Send less, or name a model with a larger window.",
}
"""By the kind of an error, what mends it where the provider seldom says so."""


@dataclass(slots=True)
class Access:
    """Keys and addresses by provider id."""

    config: Config
    _headers: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    _urls: dict[tuple[str, str | None], str] = field(default_factory=dict)
    _moved: dict[str, str] = field(default_factory=dict)

    def headers(self, provider_id: str, provider: Provider) -> dict[str, str]:
        """Static headers and the key's. Raises MissingKey, naming the variables, when a needed key is not set."""
        found = self._headers.get(provider_id)
        if found is None:
            found = dict(provider.headers)
            variables = self.variables(provider_id, provider)
            key = self.config.find_key(variables)
            if key is not None:
                variable, secret = key[0], key[1].get_secret_value()
                self.config.redactor.learn([secret])
                given = provider.auth.headers_of.get(variable, provider.auth.headers)
                found |= {name: Hidden(value.replace("{key}", secret)) for name, value in given.items()}
            elif provider.auth.required and not provider.local:
                why = self.config.left_open(variables)
                raise MissingKey(provider_id, variables, key_url=provider.auth.url, why=why)
            self._headers[provider_id] = found
        return found

    def redacted(self, text: str) -> str:
        """The text with `***` for every key; providers quote what they were given."""
        return self.config.redactor(text)

    def told(self, error: ProviderError) -> ProviderError:
        """The error with what the provider said made short, and no key in any of it."""
        error.message = self.config.redactor.cut(error.message)[:MAX_MESSAGE]
        error.args = (error.message,)  # what `repr` shows, and a crash report
        for name in ("code", "type", "param", "request_id", "partial"):
            if isinstance(value := getattr(error, name), str):
                setattr(error, name, self.redacted(value))
        cause = error.__cause__
        if cause is not None and self.redacted(str(cause)) != str(cause):
            error.__cause__ = None
            error.__suppress_context__ = True
        return error

    def blamed(self, error: ProviderError, provider_id: str, provider: Provider) -> ProviderError:
        """The error as it is told, with what mends it; for a key that was refused, which one it was and where it is."""
        self.told(error)
        fix = FIXES.get(error.kind)
        if isinstance(error, AuthError):
            fix = self._key(provider_id, provider, error.status)
        if fix is not None:
            error.message = f"{error.message.rstrip().removesuffix('.')}. {fix}"
        return error

    def _key(self, provider_id: str, provider: Provider, status: int | None) -> str:
        variables = self.variables(provider_id, provider)
        if (found := self.config.find_key(variables)) is None:
            return f"No key was sent: {variables[0]} is not set."
        name, secret, where = found
        place = where if where.startswith(".env") else f"the {where}"
        fix = "it may not do this, give it the right or replace it" if status == 403 else "replace it"
        made = f"; keys are made at {provider.auth.url}" if provider.auth.url else ""
        return f"The key is {name} from {place} ({mask(secret.get_secret_value())}): {fix}{made}."

    def has_key(self, provider_id: str, provider: Provider) -> bool:
        """Whether a call could be tried: the key is there, or none is needed."""
        if provider.local or not provider.auth.required:
            return True
        return self.config.find_key(self.variables(provider_id, provider)) is not None

    @staticmethod
    def variables(provider_id: str, provider: Provider) -> tuple[str, ...]:
        """The variables a key may stand in: the vendor's own names, then `{PROVIDER}_API_KEY`."""
        usual = address.variable_of(provider_id, "API_KEY")
        return provider.auth.env if usual in provider.auth.env else (*provider.auth.env, usual)

    def base_url(self, provider_id: str, provider: Provider, own: str | None = None) -> str:
        """Where requests go. Raises ConfigError naming the variable nobody filled.

        `own` is the place of a model or an operation, as long as the user does not move the provider: what is a key
        for a gateway is not for the vendor.
        """
        url = self._urls.get((provider_id, own))
        if url is None:
            if own is None and (moved := self._moved.get(provider_id)):
                return moved
            stays = own is not None and not self.is_moved(provider_id, provider)
            place = own if stays else self.own_url(provider_id)
            url = address.base_url(provider_id, provider, place, self.config.variable)
            self._urls[provider_id, own] = url
        return url

    def target_url(self, target: Target) -> str:
        """Where this target's requests go."""
        return self.base_url(target.provider_id, target.provider, target.facts.base_url)

    def own_url(self, provider_id: str) -> str | None:
        """What `{PROVIDER}_BASE_URL` says, if the user set it."""
        return self.config.variable(address.variable_of(provider_id, "BASE_URL"))

    def places(self, provider_id: str, provider: Provider) -> tuple[str, ...]:
        """Where a local server is looked for: at the URL the user set, else at its usual ones."""
        return (self.base_url(provider_id, provider),) if self.is_moved(provider_id, provider) else provider.discover

    def is_moved(self, provider_id: str, provider: Provider) -> bool:
        """Whether a variable of the user's says where it is."""
        names = (*provider.base_url_env, address.variable_of(provider_id, "BASE_URL"))
        return any(self.config.variable(name) for name in names)

    def reachable(self, provider_id: str, provider: Provider) -> bool:
        """Whether a key is there and usable, and the base URL is complete."""
        try:
            self.base_url(provider_id, provider)
            return self.has_key(provider_id, provider)
        except ConfigError:
            return False

    def move(self, provider_id: str, url: str) -> None:
        """A local server was found at this URL."""
        self._moved[provider_id] = url.rstrip("/")
        self._urls.pop((provider_id, None), None)


def mask(key: str) -> str:
    """`sk-…abcd`: the kind of key and its end, only where the key is long."""
    if len(key) < LONG:
        return "…"
    head = re.match(r"[A-Za-z]{1,4}[-_]", key)
    return f"{head[0] if head else ''}…{key[-4:]}"
