"""Server-side TLS contexts with the faults a certificate can have, and the authority that a client may trust."""

from __future__ import annotations

import datetime
import ssl
from typing import TYPE_CHECKING, Literal, TypeAlias

import trustme

if TYPE_CHECKING:
    from pathlib import Path

Fault: TypeAlias = Literal["none", "expired", "wrong host", "self-signed", "unknown authority"]


class Certificates:
    """One authority; `ca_file` is what a client has to be given to trust it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = trustme.CA()
        path = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(path))
        self.ca_file = str(path)

    def server(self, fault: Fault = "none", *, names: tuple[str, ...] = ("127.0.0.1", "localhost")) -> ssl.SSLContext:
        """The context of a server with these names whose certificate has this fault."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if fault == "self-signed":
            other = trustme.CA()
            chain = self._folder / "self.pem"
            other.private_key_pem.write_to_path(str(chain))
            other.cert_pem.write_to_path(str(chain), append=True)
            context.load_cert_chain(str(chain))
        elif fault == "expired":
            long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=30)
            self._ca.issue_cert(*names, not_after=long_ago).configure_cert(context)
        elif fault == "wrong host":
            self._ca.issue_cert("elsewhere.invalid").configure_cert(context)
        else:
            authority = trustme.CA() if fault == "unknown authority" else self._ca
            authority.issue_cert(*names).configure_cert(context)
        return context
