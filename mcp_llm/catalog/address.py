"""Base URLs: which are fit to carry a key, and how their placeholders are filled. Pure; variables are asked for."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcp_llm.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .schema import Provider

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
_UNFIT: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
IN_CODE: Final = ("demo://", "code://")
"""Beginnings of the URLs of providers that are code and reach no host."""
_NAT64: Final = ip_network("64:ff9b::/96")
_LOCAL: Final = (ip_network("64:ff9b:1::/48"), ip_network("::ffff:0:0:0/96"))
"""What translators of one network use among themselves (RFC 8215, RFC 2765), which `ipaddress` takes for global."""


OWN_NAMES: Final = frozenset(
    {
        "localhost",
        "local",
        "internal",
        "intranet",
        "lan",
        "home",
        "corp",
        "private",
        "test",
        "invalid",
        "example",
        "arpa",
    }
)
"""Last labels that no public server has (RFC 2606, RFC 6761, and those in use inside networks)."""


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address is this machine."""
    if not host:
        return False
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name.split("%", 1)[0]).is_loopback
    except ValueError:
        return False


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one machine of the public internet, whatever form it is written in."""
    if not address.is_global or address.is_multicast or any(address in one for one in _LOCAL):
        return False
    if isinstance(address, IPv4Address):
        return True
    inner = _embedded(address)
    return not address.is_site_local and (inner is None or is_public(inner))


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4, Teredo, NAT64 or compatible."""
    if address.teredo is not None:
        return address.teredo[1]
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    wrapped = address in _NAT64 or int(address) >> 32 == 0
    return address.ipv4_mapped or address.sixtofour or (low if wrapped else None)


def on_loopback(url: str) -> bool:
    """Whether a base URL leads to this machine."""
    try:
        return is_loopback(urlsplit(url).hostname)
    except ValueError:
        return False


def is_near(provider_id: str, provider: Provider, variable: Callable[[str], str | None]) -> bool:
    """Whether a provider's address is of this machine or of its own network, by its letters: no name is looked up."""
    url = variable(variable_of(provider_id, "BASE_URL")) or _moved(provider, variable)[0]
    if url.startswith(IN_CODE):
        return True
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    try:
        return not is_public(ip_address(host.partition("%")[0]))
    except ValueError:
        labels = host.split(".")
        return len(labels) == 1 or labels[-1] in OWN_NAMES


def variable_of(provider_id: str, suffix: str) -> str:
    """`{PROVIDER}_{suffix}`, which any provider has: `ACME_API_KEY`, `ACME_BASE_URL`."""
    return f"{re.sub(r'[^A-Z0-9]', '_', provider_id.upper())}_{suffix}"


def problem(url: str, *, insecure: bool) -> str | None:
    """What is wrong with a base URL, with the fix; None when it is fit. Placeholders count as ordinary characters."""
    if url.startswith(IN_CODE):
        return None
    plain = _PLACEHOLDER.sub("x", url)
    if _UNFIT.search(plain):
        return "holds white space, a backslash or a control character; write a plain https:// URL"
    if not url.startswith(("https://", "http://")):
        # `{VARIABLE}` alone may stand for scheme and host; the filled URL is checked again.
        if _PLACEHOLDER.match(url):
            return None
        return "must begin with https:// (or http:// for a server on this machine)"
    try:
        parts = urlsplit(plain)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL; write it as https://host/path"
    if not host:
        return "names no host; write it as https://host/path"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or password; put the key into the environment or .env instead"
    if parts.query or parts.fragment or "?" in plain or "#" in plain:
        return "holds a query or fragment; only scheme, host and path belong here"
    if parts.scheme == "http" and not insecure and not is_loopback(host):
        return "is plain http:// to another machine; use https://, or add `insecure = true` if you mean it"
    return None


def base_url(provider_id: str, provider: Provider, url: str | None, variable: Callable[[str], str | None]) -> str:
    """The URL to append request paths to, without a slash at its end.

    `url` is the model's own place (`Facts.base_url`) or None for the provider's, which `base_url_env` may replace;
    `variable` reads one variable. Raises ConfigError naming the variable that is missing or unfit.
    """
    where = f"base_url of {provider_id}"
    if url is None:
        url, name = _moved(provider, variable)
        where = name or where

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        value = (variable(name) or provider.variables.get(name) or "").strip().rstrip("/")
        if not value:
            raise ConfigError(
                f"{name} is not set, so the address of {provider_id} is not known. Set `{name}=...` in the environment "
                "or in the config folder's .env."
            )
        if re.search(r"[\s\x00-\x1f\\@?#{}]", value) or (match.start() and not re.fullmatch(r"[\w.:-]+", value)):
            raise ConfigError(f"{name} does not fit into the address of {provider_id}; set it to a plain name")
        return value

    filled = _PLACEHOLDER.sub(fill, url)
    if wrong := problem(filled, insecure=provider.insecure):
        raise ConfigError(f"{where} {wrong}")
    return filled.rstrip("/")


def _moved(provider: Provider, variable: Callable[[str], str | None]) -> tuple[str, str | None]:
    """(base URL, the variable that gives another one than the provider's own)."""
    for name in provider.base_url_env:
        if value := variable(name):
            return _with_scheme(value.strip(), provider.base_url), name
    return provider.base_url, None


def _with_scheme(value: str, usual: str) -> str:
    """`OLLAMA_HOST` and its like are often a bare host or port; a bind address is none to call.

    As Ollama's own client reads them: without a scheme, no host is this machine and no port the server's usual one.
    """
    if "://" not in value:
        host, slash, path = value.partition("/")
        port = None if re.search(r":\d+$", host) else urlsplit(usual).port
        value = f"http://{host}:{port}{slash}{path}" if port else f"http://{value}"
    return re.sub(r"^(https?://)(?:0\.0\.0\.0|\[::\]|(?=:\d))(?=[:/]|$)", r"\g<1>127.0.0.1", value)
