"""Runs again, from Python: recorded as files, replayed at no cost, gone on with by another model, compared."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mcp_llm.background import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from mcp_llm.agent.replaying import Replayed
    from mcp_llm.agent.task import AgentResult
    from mcp_llm.app import App
    from mcp_llm.runs.diff import RunDiff
    from mcp_llm.runs.recording import Recording

ME = "local"


async def record_run(run_id: str, path: str | PathLike[str]) -> None:
    """Write the agent's run `run_id` and its delegates to the file `path` as JSON lines, secrets replaced by `***`.

    Raises InvalidInput for a run that is unknown, still running or has no events; OSError from the disk.
    """
    import anyio.to_thread

    from mcp_llm import __version__
    from mcp_llm.runs import keys, recording

    app = await _app()
    found = await recording.take(app.journals, run_id, ME)
    text = "".join(recording.lines(found, keys.redactor(app.config), by=__version__))
    await anyio.to_thread.run_sync(lambda: recording.save(Path(path), text, replace=True))


async def replay_run(run: str | PathLike[str]) -> Replayed:
    """Make an agent's run again, offline: `identical`, or `differences`, each with its step and both sides.

    `run` is its id or a recorded file; no provider is asked, no server started, nothing spent or stored. In a test:
    `assert (await replay_run("tests/recordings/x.jsonl")).differences == ()`. Raises InvalidInput.
    """
    from mcp_llm.agent.replaying import replay

    app = await _app()
    return await replay(app, await _found(app, run))


async def rerun_agent(
    run: str | PathLike[str],
    step: int = 0,
    model: str | None = None,
    *,
    budget_usd: float | None = None,
    max_turns: int | None = None,
    functions: Sequence[Callable[..., Any]] = (),
    on_event: Callable[[dict[str, Any]], Any] | None = None,
) -> AgentResult:
    """Go on from a `step` of a `run` with another `model` (None: the same), live; a new run, with an id of its own.

    The steps before it are taken from the record: they are not paid again, and what their tools did is not done again.
    `run` is an id or a recorded file, `budget_usd` dollars and `max_turns` replies that it may take, `functions` are
    Python functions as further tools, where the run had some; `on_event` is called with every event as a dict.
    Raises the errors of `mcp_llm.errors`.
    """
    from mcp_llm.agent.rerun import rerun
    from mcp_llm.agent.task import Limits
    from mcp_llm.runs import recording
    from mcp_llm.toolsets.functions import Functions

    app = await _app()
    found = await _found(app, run)
    await recording.keep(app.journals, found, ME)
    return await rerun(
        app,
        app.journals,
        found,
        step=step,
        model=model,
        budget=Limits(usd=budget_usd, turns=max_turns),
        toolsets=[Functions(functions)] if functions else (),
        on_event=on_event,
    )


async def diff_runs(a: str | PathLike[str], b: str | PathLike[str]) -> RunDiff:
    """The runs `a` and `b`, by id or file, step by step: requests, calls, results, answers, and what each took.

    Raises InvalidInput for a run that is not there and for a file that is no recording.
    """
    from mcp_llm.runs.diff import diff

    app = await _app()
    return diff(await _found(app, a), await _found(app, b))


async def _found(app: App, run: str | PathLike[str]) -> Recording:
    from mcp_llm.runs import recording

    if isinstance(run, os.PathLike):
        import anyio.to_thread

        return await anyio.to_thread.run_sync(recording.load, Path(run))
    return await recording.find(app.journals, run, ME)


async def _app() -> App:
    return cast("App", await opened.get())
