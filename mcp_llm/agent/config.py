"""The config dict of `run_agent` in Python -> a task; and its callback, which hears of the end exactly once."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from mcp_llm.errors import InvalidInput
from mcp_llm.runs.ending import failure
from mcp_llm.toolsets.functions import Functions
from mcp_llm.types.events import LAST, dump

from .task import Limits, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.prompts import Prompts
    from mcp_llm.settings import Settings
    from mcp_llm.toolsets.base import Toolset
    from mcp_llm.types.events import Event

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SAME: Final = (
    *("prompt", "model", "agent", "persona", "instruction", "extra_context", "continue_from", "json_schema"),
    *("effort", "temperature", "max_tokens", "context", "arguments", "options"),
)
"""Keys that a task has under the same name."""
_LIMITS: Final = {"budget_usd": "usd", "max_turns": "turns", "max_seconds": "seconds", "max_calls": "calls"}


def read(config: dict[str, Any], settings: Settings, prompts: Prompts) -> tuple[Task, list[Toolset], str | None]:
    """(task, toolsets of this process, the run's id if it is to have a certain one). Raises InvalidInput."""
    if not isinstance(config.get("prompt"), str):
        raise InvalidInput("config needs `prompt`: the task, as text")
    run_id = config.get("agent_id")
    if run_id is not None and not _ID.fullmatch(str(run_id)):
        raise InvalidInput("`agent_id` has to be letters, digits, - and _, at most 64")
    given = {name: config[name] for name in _SAME if config.get(name) is not None}
    if (provider := config.get("provider")) and ":" not in str(given.get("model", "")):
        given["model"] = f"{provider}:{given.get('model', 'balanced')}"
    named = prompts.all().get(str(given.get("persona")))
    if "agent" not in given and named is not None and named.front.kind == "agent":
        given["agent"] = named.name
    if "continue_from" in given:
        given["continue_from"] = str(given["continue_from"])
    budget = {limit: config[name] for name, limit in _LIMITS.items() if config.get(name) is not None}
    try:
        task = Task(**given, servers=_servers(config, settings), tools=_names(config, "tools"), budget=Limits(**budget))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise InvalidInput(f"config: `{'.'.join(map(str, first['loc']))}`: {first['msg']}") from None
    functions = config.get("functions") or ()
    return task, [Functions(functions)] if functions else [], None if run_id is None else str(run_id)


def _names(config: dict[str, Any], name: str) -> tuple[str, ...] | None:
    value = config.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        value = [piece.strip() for piece in value.split(",") if piece.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise InvalidInput(f"config: `{name}` has to be a list of names")
    return tuple(value)


def _servers(config: dict[str, Any], settings: Settings) -> tuple[str, ...] | None:
    if config.get("disable_mcp"):
        return ()
    named = _names(config, "servers")
    url = config.get("mcp_server_url")
    if url is None:
        return named
    known = [name for name, server in settings.servers.items() if server.url is not None and server.url == url]
    if not known:
        raise InvalidInput(
            "`mcp_server_url` names no server of the settings: a caller cannot send an agent to any URL. Put it under "
            '[servers.NAME] with `url = "..."` in the config file; then it may be named here, or as servers=["NAME"].'
        )
    return (*(named or ()), known[0])


class Told:
    """A sink for `on_event`; what fails before there is a run is told as an `error` too."""

    def __init__(self, on_event: Callable[[dict[str, Any]], Any]) -> None:
        self._on_event = on_event
        self._ended = False

    def emit(self, event: Event) -> None:
        """The event as a dict."""
        self._ended = self._ended or isinstance(event, LAST)
        self._on_event(dump(event))

    def fail(self, error: Exception, run_id: str) -> None:
        """It failed; told unless the run itself has told it."""
        if not self._ended:
            self._on_event(
                dump(failure(error).model_copy(update={"run_id": run_id, "ts": time.time_ns() // 1_000_000}))
            )
