"""What goes wrong on the way to a provider -> an error that names the host and the cause, never the URL or the key."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcp_llm.errors import Disconnected, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcp_llm.errors import Error

_CERTIFICATE: Final[dict[int, str]] = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "is signed by an authority that is not trusted here (self-signed root)",
    20: "is signed by an authority that is not trusted here",
    21: "is signed by an authority that is not trusted here",
    23: "was revoked",
    62: "is for another host name",
    64: "is for another IP address",
}
"""OpenSSL's X509_V_ERR_* numbers."""

_HINTS: Final[dict[str, str]] = {
    "WRONG_VERSION_NUMBER": "; does it speak TLS at all?",
    "RECORD_LAYER_FAILURE": "; does it speak TLS at all?",
    "UNSUPPORTED_PROTOCOL": "; it speaks no TLS that is safe (1.2 or later)",
    "TLSV1_ALERT_PROTOCOL_VERSION": "; it speaks no TLS that is safe (1.2 or later)",
}
"""OpenSSL's reasons."""

_ERRNO: Final[dict[int, str]] = {
    errno.ECONNREFUSED: "refused the connection; nothing listens there",
    errno.ECONNRESET: "reset the connection",
    errno.ECONNABORTED: "aborted the connection",
    errno.EPIPE: "closed the connection",
    errno.ETIMEDOUT: "did not answer the connection attempt",
    errno.ENETUNREACH: "cannot be reached: no route to its network",
    errno.EHOSTUNREACH: "cannot be reached: no route to it",
    errno.EADDRNOTAVAIL: "cannot be reached: no local address for it",
    errno.EACCES: "cannot be reached: the system forbids it",
    errno.EPERM: "cannot be reached: the system forbids it",
    errno.EMFILE: "cannot be reached: this process has too many open files",
    errno.ENFILE: "cannot be reached: the system has too many open files",
}


class Redirected(Disconnected):
    """A reply that points elsewhere. Nobody follows it but `fetch.py`, which asks for things that carry no secret."""

    def __init__(self, name: str, headers: Mapping[str, str], status: int) -> None:
        self.location = headers.get("location", "")
        self.headers = headers
        place = _place(self.location, name)
        super().__init__(
            f"{name} redirects to {place}, which is never followed; correct the base URL"
            if place
            else f"{name} redirects without saying where to; check the base URL",
            status=status,
            retry=False,
        )


def _place(location: str, name: str) -> str | None:
    """Another host by its name; on the same host the path, which is what is wrong then. A query may hold a key."""
    try:
        to = urlsplit(location)
        host = to.hostname or name
    except ValueError:
        return None
    if host != name:
        return repr(host[:253])
    return f"its own {to.path[:200]!r}" if to.path else None


def unreachable(exc: BaseException, host: str, *, port: int | None = None, tls: bool = False) -> Error:
    """The error for a connection to `host` that could not be made; its `code` "connect" says that nothing was sent."""
    error = _unreachable(exc, host, port=port, tls=tls)
    if isinstance(error, Disconnected):
        error.code = "connect"
    return error


def _unreachable(exc: BaseException, host: str, *, port: int | None, tls: bool) -> Error:
    where = host if port is None else f"{host}:{port}"
    for cause in _causes(exc):
        if isinstance(cause, UnicodeError):
            return InvalidInput(f"{host!r} is no host name; check the base URL")
        if isinstance(cause, socket.gaierror):
            return Disconnected(f"the name {host} cannot be resolved (DNS: {cause.strerror}); check it and the network")
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = _CERTIFICATE.get(cause.verify_code, f"cannot be verified ({cause.verify_message})")
            fix = "; a company's own authority is set as `ca_file`" if cause.verify_code in {18, 19, 20, 21} else ""
            return Disconnected(f"TLS: the certificate of {host} {why}; nothing was sent{fix}", retry=False)
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or "unknown").replace("_", " ").lower()
            hint = _HINTS.get(cause.reason or "", "")
            return Disconnected(f"TLS with {host} failed: {reason}{hint}; nothing was sent", retry=False)
    for cause in _causes(exc):
        if isinstance(cause, OSError) and cause.errno in _ERRNO:
            return Disconnected(f"{where} {_ERRNO[cause.errno]}{' during the TLS handshake' if tls else ''}")
    if tls:
        return Disconnected(f"{where} closed the connection during the TLS handshake")
    return Disconnected(f"{where} cannot be reached ({type(exc).__name__})")


def broken(exc: BaseException, host: str, *, begun: bool) -> Disconnected:
    """The error for a connection that was lost after the request was sent; `begun` says that the reply had started."""
    when = "in the middle of the reply" if begun else "before it answered"
    for cause in _causes(exc):
        if isinstance(cause, OSError) and cause.errno in _ERRNO:
            return Disconnected(f"{host} {_ERRNO[cause.errno]} {when}")
    return Disconnected(f"{host} closed the connection {when}")


def _causes(exc: BaseException) -> Iterator[BaseException]:
    todo = [exc]
    while todo:
        found = todo.pop()
        yield found
        if isinstance(found, BaseExceptionGroup):
            todo.extend(found.exceptions)
        if found.__cause__ is not None:
            todo.append(found.__cause__)
