"""Server-side TLS contexts with the faults that they can have, and the authority that a client may trust."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, TypeAlias

import trustme

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Fault: TypeAlias = Literal["none", "expired", "wrong host", "self-signed", "unknown authority", "TLS 1.0 only"]


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
        if fault == "TLS 1.0 only":
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        return context


@contextmanager
def handshakes(context: ssl.SSLContext) -> Iterator[tuple[int, list[bytes]]]:
    """(port, what was read) of a server that shakes hands and reads. Its sockets block: asyncio's servers close without
    sending the alert that says why they refuse, as no server does that people run.
    """
    read: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(5)
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                    read.append(secure.recv(65_536))
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, name="handshakes", daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], read
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
