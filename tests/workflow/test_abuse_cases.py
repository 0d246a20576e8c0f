"""The abuse cases of workflows: YAML, templates, the tool, and Python. `abuse/workflow.toml` says which is whose."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from toolsets.hostile import measured
from workflow.work import MODEL, Counted, Scripted, do, opened, summary

from mcp_llm.errors import Cycle, Denied, InvalidInput, TooLarge, UnknownReference, WorkflowError
from mcp_llm.settings import Python
from mcp_llm.workflow import load
from mcp_llm.workflow.boundaries import Boundaries
from mcp_llm.workflow.methods import METHODS
from mcp_llm.workflow.plan import plan
from mcp_llm.workflow.template import Filling, scan

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio
needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


def memory() -> int:
    """Kilobytes this process has used at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# YAML


@pytest.mark.parametrize("tag", ["!!python/name:os.system", "!!python/module:os", "!!python/object/apply:os.system"])
def test_tags_of_python_are_refused(tag: str) -> None:
    with pytest.raises(WorkflowError, match="line 1: tags"):
        load.read(f"a: {tag} ''")


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 8)]
    before = memory()
    with pytest.raises(WorkflowError, match="line 1: anchors"):
        load.read("\n".join(lines))
    assert memory() - before < 16 * 1024


def test_merge_keys_are_refused_at_the_first_one() -> None:
    keys = ", ".join(f"k{n}: 1" for n in range(4000))
    with pytest.raises(WorkflowError, match="line 1: anchors"):
        load.read(f"base: &b {{{keys}}}\nx: {{<<: [{', '.join(['*b'] * 4000)}]}}")
    with pytest.raises(WorkflowError, match="line 2: merge keys"):
        load.read(f"base: {{{keys}}}\nx: {{<<: {{a: 1}}}}")


def test_an_alias_within_itself_is_refused() -> None:
    with pytest.raises(WorkflowError, match="line 1: anchors"):
        load.read("a: &a [*a]")


def test_a_byte_over_a_mebibyte_is_refused_before_parsing() -> None:
    most = "# x\n" * 262_144
    with pytest.raises(WorkflowError, match="the file is empty"):
        load.read(most)
    with pytest.raises(WorkflowError, match="over 1024 KiB"):
        load.read(f"{most}[")


async def test_words_and_odd_numbers_keep_their_text(home: Path) -> None:
    odd = "{v: 1.10, t: 12:30:45, o: 010, on: on, yes: no}"
    text = f"name: x\ntasks:\n- id: no\n  method: test/echo\n  parameters: {odd}\n"
    counted = Counted(echo=lambda given: given)
    async with opened(home, {}) as app:
        await do(app, text, methods=counted.methods())
    assert counted.calls == [("no", {"v": "1.10", "t": "12:30:45", "o": "010", "on": "on", "yes": "no"})]


def test_what_is_no_utf8_is_told_with_its_place() -> None:
    with pytest.raises(WorkflowError, match="line 1, byte 7: this is not UTF-8"):
        load.read(b"tasks: \xff\xfe")


SHAPES: dict[str, Any] = {
    "a long list": lambda n: "a: [" + "x, " * n + "x]",
    "many keys": lambda n: "\n".join(f"k{index}: v" for index in range(n)),
    "a long word": lambda n: "a: " + "x" * n,
    "many lines": lambda n: "a: |\n" + "  line\n" * n,
    "many escapes": lambda n: 'a: "' + "\\n" * n + '"',
    "many quotes": lambda n: "a: '" + "''" * n + "'",
    "dashes": lambda n: "- " * n,
    "question marks": lambda n: "? " * n,
    "open brackets": lambda n: "[" * n,
    "comments": lambda n: "# x\n" * n + "a: 1",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_ten_times_the_text_is_ten_times_the_work(shape: str) -> None:
    """Counted in calls, by the interpreter itself."""

    def calls(data: str) -> int:
        count = 0

        def counter(*_: Any) -> None:
            nonlocal count
            count += 1

        sys.setprofile(counter)
        try:
            with suppress(WorkflowError):
                load.read(data)
        finally:
            sys.setprofile(None)
        return count

    load.read("a: 1")  # what is imported once is not counted
    assert calls(SHAPES[shape](20_000)) <= 12 * calls(SHAPES[shape](2000))


# Templates


def planned(text: str) -> Any:
    def find(name: str) -> Any:
        return METHODS[name]

    return plan(load.read(text), find)


@pytest.mark.parametrize("reference", ["${env.OPENAI_API_KEY}", "${config.keys}", "${secrets.x}", "${settings.x}"])
def test_there_is_no_root_but_tasks_and_inputs(reference: str) -> None:
    with pytest.raises(UnknownReference):
        planned(f"name: x\ntasks:\n- {{id: a, method: llm/generate, parameters: {{prompt: '{reference}'}}}}")


def test_a_hundred_kilobytes_of_beginnings_are_looked_at_once() -> None:
    class Counted(str):
        looks = 0

        def __getitem__(self, key: Any) -> str:
            Counted.looks += 1
            return super().__getitem__(key)

    with pytest.raises(UnknownReference):
        scan(Counted("${" * 50_000))
    assert Counted.looks < 1000
    Counted.looks = 0
    assert len(scan(Counted("${a.b}" * 10_000))) == 10_000
    assert Counted.looks < 40 * 10_000


@pytest.mark.parametrize("index", ["99999999999999999999", "-1", "1" + "0" * 30, "x", "2"])
async def test_an_index_that_is_none_or_not_there_is_an_unknown_reference(home: Path, index: str) -> None:
    text = "name: x\ntasks:\n- {id: a, method: test/list}\n"
    text += f"- {{id: b, method: test/list, parameters: {{v: '${{a.items[{index}]}}'}}}}"
    async with opened(home, {}) as app:
        methods = Counted(list=lambda _: {"items": [1, 2]}).methods()
        if index == "2":
            result = await do(app, text, methods=methods)
            assert summary(result)["b"] == "failed: ${a.items[2]} is not there: ${a.items} is a list of 2"
        else:
            with pytest.raises(UnknownReference, match=r"line 4: task b: .*is no reference"):
                await do(app, text, methods=methods)


async def test_doubling_from_task_to_task_ends_at_eight_mebibytes(home: Path) -> None:
    text = f"name: x\ntasks:\n- {{id: t0, method: test/say, parameters: {{say: {'x' * 64}}}}}\n"
    for n in range(1, 30):
        text += (
            f"- id: t{n}\n  method: test/say\n  parameters: {{say: '${{t{n - 1}.response}}${{t{n - 1}.response}}'}}\n"
        )
    before = memory()
    async with opened(home, {}) as app:
        result = await do(app, text, methods=Counted(say=lambda given: given["say"]).methods())
    first = next(one for one in result.tasks if one.status != "completed")
    # 64 characters doubled 17 times are 8 MiB: as a value they fit, as a result with its name they do not.
    assert (first.task_id, first.metadata["error_kind"]) == ("t17", "too_large")
    assert result.task("t29").status == "skipped"
    assert memory() - before < 64 * 1024
    with pytest.raises(TooLarge):
        Filling(lambda _: "x" * 5_000_000).fill(["${a}", "${a}"])


def test_a_value_is_inserted_as_json_and_a_whole_reference_keeps_its_type() -> None:
    filling = Filling(lambda _: {"x": [1, 2]})
    assert filling.fill("${a.response}") == {"x": [1, 2]}
    assert filling.fill("it is ${a.response}") == 'it is {"x": [1, 2]}'


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "../home/state.db", "file:///etc/passwd"])
async def test_a_path_that_a_model_chose_is_held_to_the_allowed_folders(home: Path, path: str) -> None:
    text = f"""
name: x
tasks:
- {{id: a, method: llm/generate, parameters: {{prompt: "which file?", model: "{MODEL}"}}}}
- id: b
  method: llm/generate
  parameters: {{prompt: "read it", file_path: "${{a.response}}", model: "{MODEL}"}}
"""
    model = Scripted(path)
    async with opened(home, {"scripted": model}) as app:
        result = await do(app, text)
    assert result.task("b").metadata["error_kind"] == "denied"
    assert len(model.requests) == 1


# The tool


def test_a_task_may_not_use_its_own_result() -> None:
    with pytest.raises(Cycle, match="a waits for a"):
        planned("name: x\ntasks:\n- {id: a, method: llm/generate, parameters: {prompt: '${a.response}'}}")


def test_killed_half_way_it_goes_on_and_nothing_finished_is_done_again(tmp_path: Path) -> None:
    """A process of its own is killed with -9 while it does the third of five tasks; what each did is on its stdout."""
    here = Path(__file__).resolve()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parents[1]), str(here.parents[2])])}
    driver = [sys.executable, str(here.with_name("killed.py")), str(tmp_path)]
    with subprocess.Popen([*driver, "run"], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        before = [process.stdout.readline().strip() for _ in range(5)]
        process.send_signal(signal.SIGKILL)
    done = subprocess.run([*driver, "resume"], env=environment, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert before == ["begun t0", "ended t0", "begun t1", "ended t1", "begun t2"]
    assert done.stdout.splitlines() == [
        *("begun t2", "ended t2", "begun t3", "ended t3", "begun t4", "ended t4"),
        "t4 after t3 after t2 after t1 after t0",
    ]


@pytest.mark.parametrize("method", ["python/run", "python/execute"])
async def test_python_is_not_offered_unless_the_users_own_file_says_so(home: Path, method: str) -> None:
    (home.parent / "work" / "mcp_llm.toml").write_text("[python]\nenabled = true\n")
    text = f"name: x\ntasks:\n- {{id: a, method: {method}, parameters: {{code: '1'}}}}\n"
    async with opened(home, {}) as app:
        with pytest.raises(WorkflowError, match="is off: it runs code" if method == "python/execute" else "no method"):
            await do(app, text)
        assert await app.journals.list("local") == []


# Python


@pytest.fixture
def python(home: Path) -> Callable[..., Any]:
    """Runs code with inputs as the one task of a workflow; the task's result."""

    async def run(code: str, inputs: dict[str, Any] | None = None, **settings: Any) -> Any:
        raw = {"name": "x", "tasks": [{"id": "a", "method": "python/execute", "parameters": {"code": code}}]}
        if inputs is not None:
            raw["tasks"][0]["parameters"]["inputs"] = inputs  # type: ignore[index]
        async with opened(home, {}, python={"enabled": True, "boundary": "bubblewrap", **settings}) as app:
            return (await do(app, json.dumps(raw))).task("a")

    return run


async def test_without_a_boundary_nothing_runs_and_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Denied, match=r"`bwrap` is not installed.*install bubblewrap.*pip install 'mcp-llm"):
        await Boundaries(Python(enabled=True, boundary="bubblewrap")).get()


@needs_bwrap
async def test_memory_is_the_steps_own_and_bounded(python: Any) -> None:
    before = memory()
    task = await python("x = bytearray(2 << 30)")
    assert (task.status, task.error) == ("failed", "the code failed (line 1 of the code): MemoryError")
    assert memory() - before < 32 * 1024


@needs_bwrap
async def test_a_fork_bomb_has_no_first_child_and_we_answer_meanwhile(python: Any) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with measured() as cost, anyio.create_task_group() as tasks:
        tasks.start_soon(turn)
        task = await python("import os\nwhile True: os.fork()")
        tasks.cancel_scope.cancel()
    assert "Operation not permitted" in task.error
    assert turns > 10
    assert cost.stall < 0.25


@needs_bwrap
async def test_nothing_outlives_the_step(python: Any) -> None:
    code = "import os, time\nos.setsid()\ntry:\n    os.fork()\nexcept OSError as exc: result = str(exc)"
    assert "Operation not permitted" in str(await python(code))
    before, during = await living(), set[int]()

    async def watch() -> None:
        while not during:
            during.update(await living() - before)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        task = await python("import time\ntime.sleep(999)", seconds=3)
        assert during
        tasks.cancel_scope.cancel()
    assert task.error == "the code failed: it took longer than 3 s and was ended"
    with anyio.fail_after(30):
        while during & await living():  # noqa: ASYNC110 - other processes tell us nothing
            await anyio.sleep(0.05)


async def living() -> set[int]:
    """Processes of steps on this machine: bubblewrap's own two and the Python in it."""
    listed = (await anyio.run_process(["ps", "-eo", "pid,args"])).stdout.decode().splitlines()
    return {int(line.split()[0]) for line in listed if "-I -S -B -c" in line}


@needs_bwrap
@pytest.mark.parametrize(
    "code", ["result=[]; result.append(result)", "result=float('nan')", "result=object()", "result={1j: 2}"]
)
async def test_a_result_that_json_cannot_say_fails_the_step_and_nothing_else(python: Any, code: str) -> None:
    task = await python(code)
    assert task.error.startswith("the code failed: `result` is nothing that JSON can say")


@needs_bwrap
async def test_inputs_are_data_and_never_source(python: Any) -> None:
    evil = "'''+__import__('os').popen('id').read()+'''"
    task = await python("print(len(x))\nresult = [x, inputs['x'] == x]", {"x": evil})
    assert task.result["result"] == [evil, True]
    assert task.result["stdout"] == f"{len(evil)}\n"
    odd = await python("1", {"x; import os": 1})
    assert odd.error == "`inputs` of Python code are names in it; 'x; import os' cannot be one"


ESCAPES = {
    "subclasses": "[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'Popen']\nimport subprocess\n"
    "result = subprocess.run(['/bin/sh', '-c', 'id']).returncode",
    "ctypes": "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nif libc.ptrace(16, 1, 0, 0) < 0: "
    "raise OSError(ctypes.get_errno(), 'ptrace')",
    "memory": "open('/proc/self/mem', 'rb').read(1)",
    "mount": "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nif libc.unshare(0x10000000) < 0: "
    "raise OSError(ctypes.get_errno(), 'unshare')",
    "memory that no limit counts": "import os\nos.memfd_create('x')",
    "memory that is shared": "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    "if libc.shmget(0, 1 << 20, 0o1600) < 0: raise OSError(ctypes.get_errno(), 'shmget')",
    "socket": "import socket\nsocket.socket(40, 1)",
    "keys": "open('/root/.ssh/id_rsa').read()",
    "device": "import os\nos.mknod('/tmp/x', 0o60600, os.makedev(254, 0))",
    "write": "open('/usr/bin/x', 'w')",
}


@needs_bwrap
@pytest.mark.parametrize("name", ESCAPES)
async def test_the_classic_escapes_fail(python: Any, name: str) -> None:
    task = await python(ESCAPES[name])
    assert task.status == "failed", task
    assert any(words in task.error for words in ("Error: [Errno", "Error: ptrace")), task.error


@needs_bwrap
async def test_it_gains_nothing_leaves_no_core_and_reaches_no_parent(python: Any) -> None:
    code = """
import ctypes, os, resource, signal
libc = ctypes.CDLL(None)
try:
    os.kill(os.getppid(), signal.SIGTERM)
    os.kill(1, signal.SIGKILL)
except OSError:
    pass
result = [resource.getrlimit(resource.RLIMIT_CORE), libc.prctl(39, 0, 0, 0, 0), os.getuid()]
"""
    assert (await python(code)).result["result"] == [[0, 0], 1, 65534]


def test_only_a_callers_fault_is_one() -> None:
    assert issubclass(Denied, InvalidInput)
