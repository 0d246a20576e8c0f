"""Files and pictures that a caller names: lines of the corpus, played through the SDK's client and the real server.

The corpus says `file_path` and `image_path`; a path, URL or data URI is one of `files` here, whatever is behind it.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from abuse.calling import Caller, Tripwire, calling, said
from abuse.corpus import case, expand
from faults.replies import ok
from mcp import Client, StdioServerParameters

from mcp_llm.errors import TooLarge
from mcp_llm.files import beneath

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

OK = ok("openai", stream=True)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\0" * 64
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside.txt").write_text("ESCAPED")
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def asked(name: str, root: Path) -> dict[str, Any]:
    """The arguments of a line, in our words."""
    given = expand(case(name).input)
    path = given.get("file_path") or given.get("image_path")
    if not given.get("$literal"):
        path = path.replace("$ROOT", str(root))
    return {"prompt": given["prompt"], "files": [path]}


def opened(home: Path, root: Path, **files: Any) -> Any:
    return calling(home, [OK], files={"roots": [str(root)], **files})


async def sent(caller: Caller) -> str:
    """The body of the one request, as text; the vendor's own escapes are gone."""
    (body,) = caller.bodies()
    return json.dumps(body, ensure_ascii=False)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("FIL-002", beneath.OUTSIDE),
        ("FIL-003", beneath.OUTSIDE),
        ("FIL-006", beneath.OUTSIDE),
        ("FIL-015", "not found"),
        ("FIL-017", "NUL"),
        ("FIL-018", "too long"),
        ("FIL-020", "hold keys or passwords"),
        ("FIL-022", "not of a public server"),
        ("IMG-001", "not what its name or type says"),
        ("IMG-010", "not of a public server"),
        ("IMG-012", "not of a public server"),
        ("IMG-013", "not of a public server"),
        ("IMG-014", "not of a public server"),
        ("IMG-015", "user name or password"),
        ("IMG-017", "not of a public server"),
        ("IMG-019", "base64"),
    ],
)
async def test_what_may_not_be_read_is_told_in_words_and_nobody_is_asked(
    home: Path, root: Path, name: str, words: str
) -> None:
    (root / "up").symlink_to("..")
    (root / "fake.png").write_text("no picture at all")
    async with opened(home, root) as caller:
        arguments = asked(name, root)
        with anyio.fail_after(5):
            refusal = await caller.refused("generate", arguments)
        assert words in refusal
        assert (str(root) in refusal, "ESCAPED" in refusal) == (False, False)
        assert not (await caller.call("generate", {"prompt": "hi"})).is_error


async def test_outside_the_roots_what_is_there_and_what_is_not_are_told_in_the_same_words(
    home: Path, root: Path
) -> None:
    async with opened(home, root) as caller:
        missing = await caller.refused("generate", asked("FIL-002", root))
        there = await caller.refused("generate", {"prompt": "x", "files": [str(root.parent / "outside.txt")]})
    assert missing == there


@pytest.mark.parametrize("name", ["IMG-010", "IMG-012", "IMG-013", "IMG-014", "IMG-015", "IMG-017", "FIL-022"])
async def test_no_spelling_of_this_machine_is_connected_to(home: Path, root: Path, name: str) -> None:
    (url,) = asked(name, root)["files"]
    with Tripwire() as silent:
        port = silent.rpartition(":")[2]
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        async with opened(home, root) as caller:
            await caller.refused("generate", {"prompt": "x", "files": [f"{scheme}://{host}:{port}{slash}{path}"]})


async def test_a_growing_file_is_never_held_beyond_the_cap(root: Path) -> None:
    growing, most, stop = root / "growing", 4 * 1024 * 1024, threading.Event()
    assert asked("FIL-013", root)["files"] == [str(growing)]
    growing.write_bytes(b"")

    def grow() -> None:
        with growing.open("ab", buffering=0) as file:
            while not stop.is_set() and file.tell() < 64 * 1024 * 1024:
                file.write(b"x" * 1024 * 1024)

    def read() -> tuple[int, int, str]:
        """(bytes that came whole, bytes held at most, what it ended with)."""
        tracemalloc.start()
        came, held = 0, 0
        writer = threading.Thread(target=grow)
        writer.start()
        try:
            while True:
                try:
                    came = max(came, len(beneath.read(str(growing), [str(root)], most)[0]))
                except TooLarge as error:
                    return came, held, str(error)
                finally:
                    held = max(held, tracemalloc.get_traced_memory()[1])
        finally:
            stop.set()
            writer.join()
            tracemalloc.stop()

    came, held, words = await anyio.to_thread.run_sync(read)
    assert came <= most
    assert held <= 4 * most  # the pieces, the whole of them, and what the writer writes
    assert "pass a smaller file" in words


async def test_one_byte_over_the_cap_is_too_many_wherever_it_came_from(root: Path) -> None:
    (root / "f").write_bytes(b"x" * 100)
    descriptor = os.open(root / "f", os.O_RDONLY)
    try:
        with (root / "f").open("ab") as file:
            file.write(b"y")
        with pytest.raises(TooLarge):
            beneath._read(descriptor, 100)
        assert beneath._read(os.open(root / "f", os.O_RDONLY), 101) == b"x" * 100 + b"y"
    finally:
        os.close(descriptor)


@contextmanager
def somebody() -> Iterator[tuple[Path, list[str]]]:
    """A folder of a user without rights, and the words before a command that make it that user's."""
    if os.geteuid() != 0:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder), []
        return
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if shutil.which(become[0]) is None:
        pytest.skip("root may read everything, and setpriv is not here")
    if subprocess.run([*become, sys.executable, "-c", "import mcp_llm"], capture_output=True, check=False).returncode:
        pytest.skip("this interpreter is not for other users")
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 65534, 65534)
        yield Path(folder), become


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
async def test_a_file_without_rights_is_told_and_the_next_call_goes_on(home: Path) -> None:
    with somebody() as (folder, become):
        root = folder / "root"
        root.mkdir()
        (root / "secret0").write_text("ESCAPED")
        (root / "secret0").chmod(0)
        if become:
            for path in (root, root / "secret0"):
                os.chown(path, 65534, 65534)
        environment = {**os.environ, "MCP_LLM_HOME": str(folder / "home"), "MCP_LLM_ROOTS": str(root)}
        command = [*become, sys.executable, "-m", "mcp_llm"]
        server = StdioServerParameters(command=command[0], args=command[1:], env=environment)
        with anyio.fail_after(60):
            async with Client(server) as client:
                demo = {"model": "demo"}
                refused = await client.call_tool("generate", demo | asked("FIL-016", root))
                after = await client.call_tool("generate", demo | {"prompt": "hi"})
    assert (refused.is_error, "permission denied" in said(refused), after.is_error) == (True, True, False)


async def test_text_of_another_encoding_and_text_that_pretends_are_data(home: Path, root: Path) -> None:
    words = case("FIL-026").fault["setup"].removeprefix("content: ")
    (root / "u16.txt").write_bytes("\ufeffGrüße".encode("utf-16-le"))
    (root / "t.txt").write_text(words)
    async with opened(home, root) as caller:
        for name, says in (("FIL-025", "Grüße"), ("FIL-026", words)):
            caller.upstream.requests.clear()
            await caller.answered("generate", asked(name, root))
            (body,) = caller.bodies()
            shown = json.loads(json.dumps(body["messages"][-1]["content"]))
            shown = shown if isinstance(shown, str) else "".join(part["text"] for part in shown)
            assert says in shown
            opening = next(line for line in shown.splitlines() if line.startswith("[file "))
            assert shown.rstrip().endswith(f"[end of file {opening.split()[-1].rstrip(']')}]")


async def test_a_hard_link_is_a_file_like_any_other_and_none_is_made_here(home: Path, root: Path) -> None:
    os.link(root.parent / "outside.txt", root / "hard")
    async with opened(home, root) as caller:
        await caller.answered("generate", asked("FIL-027", root))
        assert "ESCAPED" in await sent(caller)
    assert (root.parent / "outside.txt").stat().st_nlink == 2


async def test_without_a_root_no_path_is_read_and_the_setting_is_named(home: Path) -> None:
    async with calling(home, [OK], files={"roots": [], "working_folder": False}) as caller:
        assert "files.roots" in await caller.refused("generate", asked("FIL-028", Path("/")))


async def test_a_picture_is_what_its_bytes_say(home: Path, root: Path) -> None:
    (root / "j.png").write_bytes(JPEG)
    async with opened(home, root) as caller:
        await caller.answered("generate", asked("IMG-002", root))
        assert f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}" in await sent(caller)


async def test_a_pixel_bomb_is_forwarded_and_never_decoded(home: Path, root: Path) -> None:
    header = PNG + (50_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    (root / "bomb.png").write_bytes(header + zlib.compress(b"\0" * 40_000_000))
    async with opened(home, root) as caller:
        await caller.call("generate", {"prompt": "hi"})
        caller.upstream.requests.clear()
        tracemalloc.start()
        try:
            await caller.answered("generate", asked("IMG-003", root))
            grown = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert "data:image/png;base64," in await sent(caller)
    assert grown < 16 * 1024 * 1024


async def test_a_data_uri_over_the_cap_is_refused_before_it_is_decoded(home: Path, root: Path) -> None:
    uri = case("IMG-019").input["image_path"].replace("@@@@", "@" * 8_000_000)  # decoding would say that it is none
    async with opened(home, root, max_bytes=1_000_000) as caller:
        assert "base64" not in (refusal := await caller.refused("generate", {"prompt": "x", "files": [uri]}))
        assert "1000000" in refusal.replace(",", "")
