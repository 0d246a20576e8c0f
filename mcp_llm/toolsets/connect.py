"""Opens the servers that the user has configured, by name, all at once; what cannot be opened costs only its tools."""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import anyio

from mcp_llm.errors import InvalidInput, ToolFailed
from mcp_llm.redactor import Redactor
from mcp_llm.settings import SignIn
from mcp_llm.types.nearest import nearest

from .compose import Group
from .remote import Remote
from .stdio import Child
from .variables import child_environment, fill, secrets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

    from mcp_llm.settings import Server

    from .oauth import Person
    from .pins import Pins
    from .results import Overflow


@asynccontextmanager
async def open_servers(
    names: Iterable[str],
    servers: Mapping[str, Server],
    resolve: Callable[[str], str | None],
    *,
    overflow: Overflow | None = None,
    pinned: Pins | None = None,
    ca_file: str | None = None,
    signed_in: Path | None = None,
    person: Person | None = None,
    redactor: Redactor | None = None,
) -> AsyncIterator[Group]:
    """A group of the named servers' tools, open until the context ends; enter and leave it in one task.

    Each server has its own `start_timeout_s`; those that failed are in the group's `errors`. `resolve` gives the value
    of an environment variable: for `${NAME}` in the settings, and for the few variables every child gets. `signed_in`
    is the folder of what signing in gave, `person` who can be asked to; without them nobody is signed in. The secrets
    that a server is given are taught to `redactor`, and no server's words come back with one that it knows. Raises
    InvalidInput for a name that is not configured, before anything is started.
    """
    redactor = redactor or Redactor()
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in servers:
            raise InvalidInput(_unknown(name, servers))
    # Their lines quote what the server sent, and tracebacks; both belong nowhere on our stderr.
    logging.getLogger("mcp.client").setLevel(logging.CRITICAL)
    logging.getLogger("client").setLevel(logging.CRITICAL)
    remotes: dict[str, Remote] = {}
    errors: dict[str, str] = {}
    for name in wanted:
        if servers[name].disabled:
            errors[name] = f"The server {name!r} is disabled in the settings."
            continue
        redactor.learn(secrets(servers[name], resolve))
        try:
            signer = _signer(name, servers[name], resolve, signed_in, person)
            dial = _dial(servers[name], resolve, ca_file, signer, redactor)
        except ToolFailed as error:
            errors[name] = f"The server {name!r} is not available: {error}."
            continue
        remotes[name] = Remote(name, servers[name], dial, pinned=pinned, version=_version(), redactor=redactor)
    failure: Exception | None = None
    async with anyio.create_task_group() as owners:
        async with anyio.create_task_group() as starting:
            for remote in remotes.values():
                starting.start_soon(owners.start, remote.own)
        members = {name: remote for name, remote in remotes.items() if remote.error is None}
        errors |= {name: remote.error for name, remote in remotes.items() if remote.error is not None}
        try:
            yield Group(members, errors={name: errors[name] for name in wanted if name in errors}, overflow=overflow)
        except Exception as error:  # raised below, outside the task group, which would wrap it
            failure = error
        finally:
            for remote in remotes.values():
                remote.stop()
    if failure is not None:
        raise failure


def _signer(
    name: str, server: Server, resolve: Callable[[str], str | None], folder: Path | None, person: Person | None
) -> Callable[[], Any] | None:
    """What signs requests to a server with OAuth: one that is set up for it, or that somebody has signed in to."""
    if server.url is None:
        return None
    url = fill(server.url, resolve)
    file = None if folder is None else signed_in_file(folder, name, url)
    if server.oauth is None and person is None and (file is None or not file.is_file()):
        return None
    settings = server.oauth or SignIn()
    secret, key = (
        None if one is None else fill(one, resolve) for one in (settings.client_secret, settings.private_key)
    )

    def signer() -> Any:
        from .oauth import signer  # needed where somebody signs in

        return signer(name, url, settings, secret, key, file, person)

    return signer


def signed_in_file(folder: Path, name: str, url: str) -> Path:
    """The file of what signing in to a server gave; another URL under the same name is another server."""
    mark = hashlib.sha256(f"{name}\0{url}".encode()).hexdigest()[:16]
    return folder / f"{mark}.json"


def _dial(
    server: Server,
    resolve: Callable[[str], str | None],
    ca_file: str | None,
    signer: Callable[[], Any] | None,
    redactor: Redactor,
) -> Callable[[], Any]:
    if server.command is not None:
        command = os.path.expanduser(fill(server.command, resolve))
        args = [fill(arg, resolve) for arg in server.args]
        environment = child_environment(server.env, resolve)
        cwd = os.path.expanduser(fill(server.cwd, resolve)) if server.cwd else None
        return lambda: Child(command, args, environment, cwd)
    url = fill(server.url or "", resolve)
    headers = {name: fill(value, resolve) for name, value in server.headers.items()}

    def link() -> Any:
        from .http import Link  # the HTTP stack is loaded where a server needs it

        return Link(url, headers, ca_file=ca_file, signer=signer, redactor=redactor)

    return link


def _unknown(name: str, servers: Mapping[str, Server]) -> str:
    close = nearest(name, servers)
    hint = f" Did you mean {close[0]!r}?" if close else f" There are: {', '.join(servers) or 'none'}."
    return f"No server is configured as {name[:100]!r}.{hint} Servers are named in the config file under [servers]."


@cache
def _version() -> str:
    """Of this package; reading it takes 2 ms, which every run with a server paid."""
    try:
        return version("mcp-llm")
    except PackageNotFoundError:
        return "0"
