"""Runs the application under uvicorn until a signal comes; calls in flight get 3 s then, and all is over in 5.

Signals are attended to here and not by uvicorn, which would end the process by the same signal and never by itself
while a stream is open.
"""

from __future__ import annotations

import errno
import gc
import logging
import os
import socket
import sys
import threading
import time
from contextlib import nullcontext
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel

from mcp_llm.errors import ConfigError
from mcp_llm.server.stderr import say, spare
from mcp_llm.signals import ending, unmeant

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mcp.server import MCPServer

    from mcp_llm.config import Config

    from .app import Application

FINISH: Final = 3.0
"""Seconds for calls in flight to come to their own end."""
CANCEL: Final = 1.0
"""Seconds for those that did not, to be answered and written down."""
LEAVE: Final = 4.7
"""Seconds from the signal after which the process leaves, whatever a library still waits for."""
KEEP_ALIVE: Final = 75
"""Seconds that an idle connection is kept: longer than balancers keep theirs, which expect to be the first to close."""
BACKLOG: Final = 2048
"""Connections that the system keeps for us while we are at work; what comes beyond waits a second to try again."""
AT_ONCE: Final = 100
"""Accepted in one turn of the loop. asyncio goes through all of its turn also when there are no more files."""
RESERVE: Final = 64
"""Files that are neither a client's connection nor a provider's."""
OUT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def serve_http(config: Config, server: MCPServer[Any] | None = None) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; then return. `server` stands in for ours.

    Raises ConfigError for what may not or cannot be served, in a group if that turns out when all is open.
    """
    spare()
    http = config.settings.http
    sock = listen(http.host, http.port)
    # As over stdio: half of a cold start is the collector walking classes that live for ever.
    gc.disable()
    from .app import build

    application = build(config, server)
    gc.freeze()
    gc.enable()
    unmeant()
    config.redactor.guard(logging.getLogger())
    for problem in config.problems:
        say(problem)
    with sock:
        anyio.run(_main, application, sock, backend_options={"use_uvloop": _has("uvloop")})


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError when the address cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # With the protocol's number asyncio sets TCP_NODELAY on what is accepted: without, an answer waits 40 ms.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name == "posix":  # elsewhere it lets two servers take one port
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(BACKLOG)
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
    except OSError as exc:
        raise ConfigError(
            f"{host[:100]} port {port} cannot be used: {exc.strerror}. Choose with --host, --port."
        ) from None
    return sock


def exposed(address: str, application: Application) -> str | None:
    """Why a server at this address may not be started as it is; None where it may.

    Beyond this machine it has to ask who calls (CVE-2025-49596 was a server that did not), and by which name: a page
    can make its own name point to any address.
    """
    if ip_address(address.partition("%")[0]).is_loopback:
        return None
    where = f"{application.config.settings.http.host} can be reached from other machines"
    if not application.asks:
        return f"{where}, and nothing says who may call: `mcp-llm token create NAME` makes a token; or set [http.oauth]"
    if not application.config.settings.http.allow_hosts:
        return f"{where}: say by which names, with --allow-host NAME (or [http] allow_hosts)"
    return None


def tell(sock: socket.socket) -> None:
    """Where it can be reached now."""
    address = sock.getsockname()
    name = f"[{address[0]}]" if ":" in address[0] else address[0]
    say(f"serving MCP on http://{name}:{address[1]}/mcp")


async def _main(application: Application, sock: socket.socket) -> None:
    server = server_of(application, most=connections(application.config.settings.http.connections))
    loop: Any = anyio.lowlevel.current_token().native_token
    loop.set_exception_handler(_Unhandled())
    async with anyio.create_task_group() as tasks:
        with _signals() as signals:
            async with application.lifespan():
                if (why := exposed(sock.getsockname()[0], application)) is None:
                    tell(sock)
                    tasks.start_soon(_until_signal, signals, application, server)
                    await server.serve(sockets=[sock])
                tasks.cancel_scope.cancel()
    if why is not None:
        raise ConfigError(why)


def server_of(application: Application, **limits: Any) -> Any:
    """Uvicorn around it; `limits` are those of `protocol`."""
    import uvicorn

    from .protocol import protocol

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            for sock in sockets or ():
                sock.listen(BACKLOG)

        def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
            return nullcontext()

    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a stranger's bad request is no news; ours have their line
    return Server(
        uvicorn.Config(
            application,
            http=protocol(**limits),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=AT_ONCE,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=0,  # calls have had their time; what is left only listens
        )
    )


def _signals() -> Any:
    try:
        return anyio.open_signal_receiver(*ending())
    except NotImplementedError:  # Windows' loops have no signal handlers; Ctrl-C raises KeyboardInterrupt there
        return nullcontext()


async def _until_signal(signals: Any, application: Application, server: Any) -> None:
    if signals is None:
        return
    async with anyio.create_task_group() as tasks:
        async for number in signals:
            if application.draining:
                os._exit(0)  # asked twice
            say(f"{number.name}: the server is ending")
            tasks.start_soon(drain, application, server)


async def drain(application: Application, server: Any) -> None:
    """Refuse what is new, let calls in flight end, then end them, then the server."""
    application.draining = True
    timer = threading.Timer(LEAVE, os._exit, (0,))
    timer.daemon = True
    timer.start()
    with anyio.move_on_after(FINISH):
        await application.calls.drained()
    application.calls.end("the server is ending: make the call again, or see `runs` for what had arrived")
    with anyio.move_on_after(CANCEL):
        await application.calls.drained()
    server.should_exit = True


def connections(wanted: int) -> int:
    """How many clients may be connected: each call needs a file for its provider too. Raises the limit on files."""
    if sys.platform == "win32":  # it has no such limit
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 2 * wanted + RESERVE
    if soft == resource.RLIM_INFINITY or soft >= most:
        return wanted
    soft = most if hard == resource.RLIM_INFINITY else min(hard, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(wanted, max(1, (soft - RESERVE) // 2))


class _Unhandled:
    """What reaches the event loop: that there are no more files is one line a minute, and not a thousand a second."""

    def __init__(self) -> None:
        self._said = -60.0

    def __call__(self, loop: Any, context: dict[str, Any]) -> None:
        if getattr(context.get("exception"), "errno", None) not in OUT:
            loop.default_exception_handler(context)
        elif time.monotonic() - self._said >= 60:
            self._said = time.monotonic()
            say("no more files or memory for connections; they wait until others have ended")


def _has(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None
