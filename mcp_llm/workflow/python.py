"""`python/execute`: a step of Python code, off unless the user's own settings allow it, and only inside a boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Denied, InvalidInput, ToolFailed

from .boundary import Limits
from .method import Done

if TYPE_CHECKING:
    from .method import Call

GIVES: Final = frozenset({"result", "stdout", "stderr", "exit_code", "execution_time"})
_TAKEN: Final = frozenset({"inputs", "result"})


class StepFailed(ToolFailed):
    """The code raised, or was ended; `result` is what it had said by then."""

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        super().__init__(message)
        self.result = result


async def execute(call: Call) -> Done:
    """Run the code with its inputs as names. Raises Denied without a boundary, StepFailed where the code fails."""
    settings, given = call.host.service.config.settings.python, call.parameters
    if not settings.enabled:
        raise Denied("`python/execute` is off: set `enabled = true` under [python] in your own config file")
    wrong = [name for name in given.inputs if not name.isidentifier() or name.startswith("__") or name in _TAKEN]
    if wrong:
        raise InvalidInput(f"`inputs` of Python code are names in it; {', '.join(map(repr, wrong[:5]))} cannot be one")
    limits = Limits(
        min(given.timeout_s or settings.seconds, settings.seconds),
        settings.memory_mb * 1024 * 1024,
        settings.output_kb * 1024,
    )
    boundary = await call.host.boundaries.get()
    ran = await boundary.run(given.code, given.inputs, limits)
    result = {
        "result": ran.result,
        "stdout": ran.stdout,
        "stderr": ran.stderr,
        "exit_code": ran.exit_code,
        "execution_time": round(ran.seconds, 6),
    }
    if ran.error is not None:
        where = f" (line {ran.line} of the code)" if ran.line else ""
        raise StepFailed(f"the code failed{where}: {ran.error}", result)
    return Done(result, metadata={"boundary": boundary.name})
