"""Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as curl reads them.

Pure: the values are given, the environment is not read. This machine itself is never reached through a proxy.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from mcp_llm.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Proxies:
    """Proxy URLs by the scheme of the request, and the hosts that are reached directly."""

    http: str | None = None
    https: str | None = None
    no: str = ""

    def choose(self, scheme: str, host: str, port: int) -> str | None:
        """The proxy's URL, None for a direct connection. Raises ConfigError for a URL that is none."""
        url = self.https if scheme == "https" else self.http
        if not url or is_loopback(host) or self._direct(host, port):
            return None
        url = url if "://" in url else f"http://{url}"
        name, kind = f"{scheme}_proxy".upper(), url.partition("://")[0].lower()
        if kind not in {"http", "https"}:
            raise ConfigError(f"{name}: proxies of the kind {kind!r} are not supported; use an http:// one")
        try:
            parts = urlsplit(url)
            if not parts.hostname or parts.port == 0:
                raise ValueError
        except ValueError:
            raise ConfigError(f"{name} is no proxy URL; write http://host:port") from None
        return url

    def _direct(self, host: str, port: int) -> bool:
        host = host.lower().rstrip(".")
        address = _address(host)
        for word in self.no.replace(",", " ").lower().split():
            if word == "*":
                return True
            entry, found, suffix = word.rpartition(":")
            if found and suffix.isdigit() and (entry.startswith("[") or ":" not in entry):
                if int(suffix) != port:
                    continue
                word = entry
            word = word.strip("[]")
            if address is not None:
                try:
                    if address in ipaddress.ip_network(word, strict=False):
                        return True
                except ValueError:
                    continue
            else:
                word = word.removeprefix("*").lstrip(".").rstrip(".")
                if word and (host == word or host.endswith(f".{word}")):
                    return True
        return False


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by name or address."""
    host = host.lower().rstrip(".")
    address = _address(host)
    if address is not None:
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback or address.is_unspecified
    return host == "localhost" or host.endswith(".localhost")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
