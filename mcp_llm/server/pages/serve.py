"""Serves the pages on loopback until it is told to end; nothing of it can be reached from another machine."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import uvicorn

from mcp_llm.errors import ConfigError
from mcp_llm.server.http.guard import Guard

from .door import Keys
from .local import local

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_llm.app import App

HOST: Final = "127.0.0.1"
FEW: Final = 128
"""Connections at a time: a person has a few tabs."""


class Server(uvicorn.Server):
    """Ends when its task is cancelled; signals are attended to by whoever runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def bound(port: int) -> socket.socket:
    """A listening socket on loopback; port 0 is a free one. Raises ConfigError."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it lets two servers take one port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
        found.listen(FEW)
    except OSError as exc:
        found.close()
        raise ConfigError(
            f"port {port} cannot be used ({exc.strerror}): leave out --port, any free one will do"
        ) from None
    return found


async def serve(app: App, port: int, told: Callable[[str], Any]) -> None:
    """Serve until cancelled. `told` gets each address that opens the pages; each works once."""
    with bound(port) as sock:
        place = f"http://{HOST}:{sock.getsockname()[1]}/"
        keys = Keys(lambda code: told(f"{place}#{code}"))
        _hush(anyio.get_cancelled_exc_class())
        async with anyio.create_task_group() as tasks:
            config = uvicorn.Config(
                Guard(local(app, keys, tasks)),
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                limit_concurrency=FEW,
                timeout_graceful_shutdown=1,
            )
            told(f"{place}#{keys.code}")  # it listens: who comes early waits a moment
            await Server(config).serve([sock])
            tasks.cancel_scope.cancel()


def _hush(cancelled: type[BaseException]) -> None:
    """Looks that wait when it ends are no errors to be told of."""

    def told(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], cancelled))

    logging.getLogger("uvicorn.error").addFilter(told)
