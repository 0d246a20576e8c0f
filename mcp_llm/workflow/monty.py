"""Python inside monty: an interpreter of its own in a process of its own, with a part of the language and no way out.

It has no files, no network, no environment and no modules but a few; it runs wherever its wheel installs.
"""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import anyio

from .boundary import Limits, Ran

if TYPE_CHECKING:
    from pydantic_monty import ResourceLimits

PROBE = Limits(10.0, 64 * 1024 * 1024, 64 * 1024)
TRIED = (
    ("it reads files", "open('/etc/passwd').read()"),
    ("it imports what it likes", "import socket\nsocket.socket()"),
    ("it has an environment", "import os\nos.environ['PATH']"),
    ("its memory has no limit", "x = 'x' * 500_000_000\nlen(x)"),
)
"""What must not succeed."""


class Monty:
    """The package `pydantic-monty`, of the extra `python`."""

    name = "monty"

    async def probe(self) -> str | None:
        """Try what must not succeed, and that a sum does."""
        if find_spec("pydantic_monty") is None:
            return "`pydantic-monty` is not installed"
        ran = await self.run("result = n + 1", {"n": 1}, PROBE)
        if ran.result != 2:
            return (ran.error or "it cannot add")[:300]
        for words, code in TRIED:
            if (await self.run(code, {}, PROBE)).error is None:
                return words
        return None

    async def run(self, code: str, inputs: dict[str, Any], limits: Limits) -> Ran:
        """Run it in a new worker, which ends with it."""
        import pydantic_monty as monty

        bounds: ResourceLimits = {"max_feed_duration_secs": limits.seconds, "max_memory": limits.memory}
        said = monty.CollectStreams(max_bytes=limits.output)
        started = time.monotonic()
        ran = Ran(None, "", "", 0, 0.0)
        names = {**inputs, "inputs": inputs}
        with anyio.move_on_after(limits.seconds + 1) as scope:
            try:
                async with (
                    monty.AsyncMonty(max_processes=1, request_timeout=limits.seconds + 1) as pool,
                    pool.checkout(script_name="step.py", limits=bounds) as session,
                ):
                    value = await session.feed_run(code, inputs=names, print_callback=said)
                    try:
                        value = await session.feed_run("result", print_callback=said)
                    except monty.MontyRuntimeError as exc:
                        if not isinstance(exc.exception(), NameError):
                            raise
                    ran.result = json.loads(json.dumps(value, allow_nan=False))
            except (monty.MontyRuntimeError, monty.MontySyntaxError) as exc:
                ran.exit_code, ran.error = 1, exc.display("type-msg")[:2000]
                ran.stderr = exc.display("traceback")[: limits.output]
                frames = exc.traceback()
                ran.line = frames[-1].start.line if frames and hasattr(frames[-1], "start") else None
            except monty.MontyError as exc:
                ran.exit_code, ran.error = None, str(exc)[:500]
            except (TypeError, ValueError, RecursionError) as exc:
                ran.exit_code, ran.error = 1, f"`result` is nothing that JSON can say: {str(exc)[:300]}"
        ran.seconds = time.monotonic() - started
        if scope.cancelled_caught:
            ran.exit_code, ran.error = None, f"it took longer than {limits.seconds:g} s and was ended"
        streams = said.output
        ran.stdout = "".join(text for stream, text in streams if stream == "stdout")
        ran.stderr = "".join(text for stream, text in streams if stream == "stderr") + ran.stderr
        return ran
