"""What every test shares: no network but loopback, no keys, a home of its own, and the recorded traffic beside us."""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import canary
import hypothesis
import pytest

from mcp_llm.store.sqlite import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

hypothesis.settings.register_profile("house", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("house")

ROOT = Path(__file__).resolve().parents[1]
TAPES = ROOT.parent / "shared" / "tapes"

REPORT = pytest.StashKey[list[str]]()
NO_TAPES = "the recorded traffic (../shared/tapes) is not beside the repository"

# A loopback proxy or base URL, a token, a folder of somebody's settings: nothing of the machine reaches a test.
FOREIGN = re.compile(
    r".*_(API_KEY|KEY|TOKEN|BASE_URL|API_BASE|ENDPOINT|HOST|PROXY)(_.*)?|MCP_LLM_.*|(https?|all|no)_proxy|"
    r"(AWS|AZURE|GOOGLE|OLLAMA|LMSTUDIO)_.*",
    re.IGNORECASE,
)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(canary)


class NetworkForbidden(RuntimeError):
    """A test tried to leave the machine. Not an OSError: code that survives a broken network must not hide it."""


def _is_local(host: object) -> bool:
    if host in (None, "", b"", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return str(host).endswith(".localhost")
    return address.is_loopback or address.is_unspecified


@pytest.fixture(scope="session", autouse=True)
def _network() -> Iterator[None]:
    """Loopback and local sockets only; names under `.invalid` do not resolve, as RFC 2606 has it."""
    patch = pytest.MonkeyPatch()
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise NetworkForbidden(f"a test connects to {address[0]}; only loopback is allowed")

    def guarded(sock: socket.socket, address: Any) -> None:
        check(sock, address)
        connect(sock, address)

    def guarded_ex(sock: socket.socket, address: Any) -> int:
        check(sock, address)
        return connect_ex(sock, address)

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if isinstance(name, str) and name.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        try:
            ipaddress.ip_address(str(name).partition("%")[0])
        except ValueError:
            if not _is_local(name):
                raise NetworkForbidden(f"a test looks up {name}; only loopback is allowed") from None
        return getaddrinfo(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", guarded)
    patch.setattr(socket.socket, "connect_ex", guarded_ex)
    patch.setattr(socket, "getaddrinfo", resolve)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def _terminal() -> Iterator[None]:
    """A suite started with `nohup`, or with `&` by a script, ignores signals, and so would what it starts."""
    names = [name for name in ("SIGHUP", "SIGINT") if hasattr(signal, name)]
    known = {one: signal.getsignal(one) for one in map(signal.Signals.__getitem__, names)}
    for one, handler in known.items():
        if handler is signal.SIG_IGN:
            signal.signal(one, signal.default_int_handler if one is signal.SIGINT else signal.SIG_DFL)
    yield
    for one, handler in known.items():
        signal.signal(one, handler)


@pytest.fixture
def anyio_backend() -> str:
    """The one event loop we run on."""
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder in `MCP_LLM_HOME`, an empty working folder, and an environment that knows no provider.

    It holds one secret of somebody else's, which nothing may show or hand on (canary.py looks).
    """
    for name in list(os.environ):
        if FOREIGN.fullmatch(name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SOMEBODYS_PASSWORD", canary.KEY)
    folder = tmp_path / "home"
    work = tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    monkeypatch.setenv("MCP_LLM_HOME", str(folder))
    monkeypatch.chdir(work)
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a state database may come to be; nothing is there yet."""
    return tmp_path / "home" / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A state database in that place, not opened before its first use."""
    opened = Store.open(path)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def tapes() -> Path:
    """The folder of recorded provider traffic, read where it is; tests that need it are skipped and counted without."""
    if not TAPES.is_dir():
        pytest.skip(NO_TAPES)
    return TAPES


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the end of the run: what a test over many cases counted."""
    return request.config.stash.setdefault(REPORT, [])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    lines = [*config.stash.get(REPORT, [])]
    skipped = [item for item in terminalreporter.stats.get("skipped", ()) if NO_TAPES in str(item.longrepr)]
    if skipped:
        lines.append(f"{len(skipped)} tests skipped: {NO_TAPES}")
    if lines:
        terminalreporter.section("recorded traffic")
        for line in lines:
            terminalreporter.write_line(line)
