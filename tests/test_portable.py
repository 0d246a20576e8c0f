"""Windows and macOS by construction: what only POSIX has is used where the code has asked, and what Windows has instead
is run here where Linux can run it. The machine that runs this is no Windows: it shows what the text says, not more.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from faults.replies import ok
from faults.server import FaultServer
from mcp import Client, StdioServerParameters

from mcp_llm.errors import ToolFailed
from mcp_llm.http import sockets
from mcp_llm.http.deadlines import Clock, Deadlines
from mcp_llm.toolsets import shims

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).resolve().parents[1] / "mcp_llm"

MODULES = frozenset(
    {
        *("crypt", "fcntl", "grp", "nis", "ossaudiodev", "posix", "pty", "pwd", "readline", "resource", "spwd"),
        *("syslog", "termios", "tty"),
    }
)
NAMES = {
    "os": re.compile(
        r"O_(?!RDONLY$|WRONLY$|RDWR$|APPEND$|CREAT$|EXCL$|TRUNC$).*|[gs]ete?[ug]id|getgroups|getpgid|getpgrp|getsid"
        r"|fork|forkpty|killpg|setsid|setpgid|uname|fchmod|fchown|l?chown|fchdir|chroot|mkfifo|mknod|nice|openpty|pipe2"
        r"|preadv?|pwritev?|readv|writev|sendfile|statvfs|fstatvfs|sysconf|sync|ttyname|wait|wait[34]|waitid|W[A-Z]+"
        r"|sched_.*|posix_.*|memfd_create|pidfd_open|eventfd|getrandom|getloadavg|register_at_fork|get_blocking"
        r"|set_blocking|tcgetpgrp|tcsetpgrp|ctermid|lockf"
    ),
    "signal": re.compile(
        r"SIG(?!_|INT$|TERM$|ABRT$|FPE$|ILL$|SEGV$|nals$).*|alarm|setitimer|getitimer|pause|pthread_.*|sig(?!nal$|[A-Z_])[a-z]+"
    ),
    "socket": re.compile(r"AF_UNIX|SO_REUSE.*|MSG_NOSIGNAL|MSG_DONTWAIT|MSG_CMSG_.*|SCM_RIGHTS|send_fds|recv_fds"),
    "select": re.compile(r"poll|epoll|kqueue"),
    "time": re.compile(r"tzset|clock_.*|pthread_.*"),
}
"""Module -> what Windows has not of it, or has with another meaning (SO_REUSEADDR lets two servers take one port)."""
METHODS = frozenset(
    {
        *("add_reader", "add_signal_handler", "add_writer", "connect_read_pipe", "connect_write_pipe"),
        *("create_unix_connection", "create_unix_server", "open_signal_receiver", "remove_reader"),
        *("remove_signal_handler", "remove_writer"),
    }
)
ARGUMENTS = frozenset({"dir_fd", "preexec_fn"})
ASKED = {"sys.platform", "os.name", "os.supports_dir_fd", "hasattr", "getattr"}
CAUGHT = {"ImportError", "AttributeError", "NotImplementedError"}
ELSEWHERE = {
    ("server/pipes.py", "open"): "its descriptors are from `claim`, which has none for it on Windows",
}
"""Functions whose callers ask."""

WITHOUT = f"""
import builtins, importlib, pkgutil, runpy, sys

POSIX, real = {sorted(MODULES)!r}, builtins.__import__

def windows(name, globals=None, locals=None, fromlist=(), level=0):
    ours = not level and str((globals or {{}}).get("__name__")).startswith("mcp_llm")
    if ours and name in POSIX and locals is not None:
        raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
    return real(name, globals, locals, fromlist, level)

builtins.__import__ = windows
"""
"""No module of ours meets a POSIX module while it is imported; inside functions `sys.platform` is asked, which says
Linux here. The standard library, which is another one on Windows, keeps its own.
"""


def uses(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Whatever of POSIX is named in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names if alias.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module is not None:
            if node.module in MODULES:
                yield node, node.module
            names = NAMES.get(node.module)
            yield from ((node, f"{node.module}.{a.name}") for a in node.names if names and names.fullmatch(a.name))
        elif isinstance(node, ast.Attribute):
            names = NAMES.get(node.value.id) if isinstance(node.value, ast.Name) else None
            if node.attr in METHODS or (names is not None and names.fullmatch(node.attr)):
                yield node, ast.unparse(node)
        elif isinstance(node, ast.keyword) and node.arg in ARGUMENTS:
            yield node, f"{node.arg}="


def asks(node: ast.AST) -> bool:
    """Whether it is a question about the platform, or catches the answer."""
    if isinstance(node, ast.ExceptHandler) and node.type is not None:
        return any(name in ast.unparse(node.type) for name in CAUGHT)
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        return any(ast.unparse(argument) in CAUGHT for argument in node.args)
    return isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) in ASKED


def unasked(source: str) -> Iterator[tuple[str, int, str]]:
    """(function or "", line, what) of each use that nothing asks about.

    Asked is what stands in a function after a question in it, in an `if` with the question as its condition, or in a
    `try` that catches the answer. That the question is the right one is for the reader to see.
    """
    tree = ast.parse(source)
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node, what in uses(tree):
        line = getattr(node, "lineno", 0)
        function, asked, at = "", False, node
        while (at := above.get(at, tree)) is not tree:
            if isinstance(at, ast.FunctionDef | ast.AsyncFunctionDef):
                function = at.name
                asked |= any(asks(inner) and getattr(inner, "lineno", line + 1) <= line for inner in ast.walk(at))
            elif isinstance(at, ast.If | ast.IfExp):
                asked |= "TYPE_CHECKING" in ast.unparse(at.test) or any(map(asks, ast.walk(at.test)))
            elif isinstance(at, ast.Try):
                asked |= any(map(asks, at.handlers))
        if not asked:
            yield function, line, what


def test_what_only_posix_has_is_used_where_the_code_has_asked() -> None:
    found, excused = [], set()
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for function, line, what in unasked(path.read_text(encoding="utf-8")):
            if (name, function) in ELSEWHERE:
                excused.add((name, function))
            else:
                found.append(f"{name}:{line} {what}")
    assert not found, "\n" + "\n".join(found)
    assert excused == set(ELSEWHERE)


@pytest.mark.parametrize(
    ("source", "found"),
    {
        "import fcntl": ["fcntl"],
        "from termios import tcgetattr": ["termios"],
        "from signal import SIGKILL, SIGINT": ["signal.SIGKILL"],
        "import os\ndef f():\n    os.fork()": ["os.fork"],
        "import os\nX = os.O_RDONLY | os.O_NOFOLLOW": ["os.O_NOFOLLOW"],
        "def f(loop):\n    loop.add_signal_handler(2, g)": ["loop.add_signal_handler"],
        "import os\ndef f():\n    os.setsid()\n    print(os.name)": ["os.setsid"],
        "try:\n    import fcntl\nexcept ImportError:\n    fcntl = None": [],
        "import sys\nif sys.platform != 'win32':\n    import pwd": [],
        "import os\ndef f():\n    if os.name == 'posix':\n        os.getuid()": [],
        "def f():\n    with suppress(ImportError):\n        import readline": [],
        "import os, signal\nX = os.O_CREAT, signal.SIGTERM, signal.SIG_IGN": [],
    }.items(),
)
def test_the_walk_finds_what_it_is_for(source: str, found: list[str]) -> None:
    assert [what for _, _, what in unasked(source)] == found


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MCP_LLM_HOME": str(folder / "home")}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code],
        cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip


def test_every_module_can_be_imported_without_posix_modules(tmp_path: Path) -> None:
    code = """
import json, mcp_llm
failed = {}
names = [found.name for found in pkgutil.walk_packages(mcp_llm.__path__, "mcp_llm.", onerror=lambda name: None)]
for name in names:
    if not name.endswith((".__main__", ".workflow.inside")):  # these two run
        try:
            importlib.import_module(name)
        except ImportError as error:
            failed[name] = str(error)
print(json.dumps([len(names), failed]))
"""
    ran = run(tmp_path, code)
    assert ran.returncode == 0, ran.stderr
    count, failed = json.loads(ran.stdout)
    assert failed == {}
    assert count > len(list(PACKAGE.rglob("*.py"))) / 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--version"], "mcp-llm"), (["ask", "-m", "demo", "hello"], "hello"), (["doctor", "--help"], "doctor")],
)
def test_the_commands_work_without_posix_modules(tmp_path: Path, arguments: list[str], said: str) -> None:
    code = f"sys.argv = ['mcp-llm', *{arguments!r}]\nrunpy.run_module('mcp_llm', run_name='__main__')"
    ran = run(tmp_path, code)
    assert ran.returncode == 0, ran.stderr
    assert said in ran.stdout


@pytest.mark.anyio
async def test_the_server_answers_over_the_transport_that_windows_gets(tmp_path: Path) -> None:
    code = "from mcp_llm.server import serve, stdio; stdio.claim = lambda: None; serve.serve()"
    parameters = StdioServerParameters(
        command=sys.executable, args=["-c", WITHOUT + code], cwd=tmp_path, env={"MCP_LLM_HOME": str(tmp_path / "home")}
    )
    with anyio.fail_after(60):
        async with Client(parameters) as client:
            answer = await client.call_tool("generate", {"prompt": "ping \u2028 ж", "model": "demo"})
    assert answer.structured_content is not None
    assert answer.structured_content["provider"] == "demo"
    assert "ping \u2028 ж" in answer.structured_content["response"]


@pytest.mark.anyio
async def test_a_provider_is_reached_by_the_loop_alone_as_on_windows() -> None:
    with FaultServer([ok("openai")]) as server, anyio.fail_after(20):
        made = await sockets.dial("127.0.0.1", server.port, Clock(Deadlines()))
        try:
            await made.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            assert (await made.read(65536)).startswith(b"HTTP/1.1 200")
        finally:
            made.abort()


def test_a_batch_file_gets_its_arguments_as_they_were_given() -> None:
    words = ["-y", "a b", "https://x/?a=1&b=%20", 'say "hi"', "C:\\dir\\", 'back\\"slash', ""]
    assert shims.line(r"C:\Program Files\nodejs\npx.cmd", words) == (
        r'"C:\Program Files\nodejs\npx.cmd" "-y" "a b" "https://x/?a=1&b=%%cd:~,%20" "say ""hi""" "C:\dir\\"'
        r' "back\\""slash" ""'
    )


@pytest.mark.parametrize("word", ["two\nlines", "two\rlines", "nul\0"])
def test_what_a_batch_file_cannot_be_given_is_refused(word: str) -> None:
    with pytest.raises(ToolFailed, match="batch file"):
        shims.line("npx.cmd", [word])


@pytest.mark.parametrize(
    ("command", "platform", "needed"),
    [
        (r"C:\npx.CMD", "win32", True),
        (r"C:\run.bat", "win32", True),
        (r"C:\run.bat. ", "win32", True),
        (r"C:\node.exe", "win32", False),
        ("/bin/npx.cmd", "linux", False),
    ],
)
def test_only_a_batch_file_on_windows_is_left_to_cmd(command: str, platform: str, needed: bool) -> None:
    assert shims.needed(command, platform=platform) is needed
