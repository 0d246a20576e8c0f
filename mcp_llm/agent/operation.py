"""Runs an agent from task to result: makes the run, opens its servers, drives the loop, writes its end exactly once.

Whatever ends it - an answer, a limit, an error, a cancel - the run's last event says so; a limit is no error, and what
there is by then is the result.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from mcp_llm.errors import BudgetExceeded, Conflict, Error
from mcp_llm.llm.shaping import shaped
from mcp_llm.runs.ending import fail
from mcp_llm.runs.history import History
from mcp_llm.runs.recorder import Recorder
from mcp_llm.types.events import Budget, Callback, ErrorEvent, Finish, Start

from .bench import bench
from .calls import Stuck
from .limits import Tree
from .prepare import prepare
from .task import BOUND, DELEGATE, KIND, AgentResult, Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from mcp_llm.llm.progress import Progress
    from mcp_llm.llm.service import Service
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.store import RunStore
    from mcp_llm.toolsets.base import Toolset
    from mcp_llm.types.chat import ChatRequest, ChatResponse
    from mcp_llm.types.events import Event, EventSink
