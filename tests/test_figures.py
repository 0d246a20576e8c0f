"""Limits and defaults that the pages of docs/ state in words are those of the code."""

from __future__ import annotations

from typing import Any, Final

import pytest
from documented.blocks import ROOT

from mcp_llm import config, envfile, redactor, settings
from mcp_llm.agent import resuming
from mcp_llm.cli import batch
from mcp_llm.compare import asked, stats
from mcp_llm.files.load import Limits
from mcp_llm.hosts.known import host
from mcp_llm.runs import lease
from mcp_llm.server import life
from mcp_llm.server.http import run, tokens
from mcp_llm.server.run import TASK_AFTER_S
from mcp_llm.toolsets import remote

WORDS: Final = {1: "an hour", 2: "two", 3: "three", 5: "five", 10: "ten", 16: "sixteen"}
USUAL: Final = settings.Settings()
AT_ONCE: Final[Any] = next(one for one in batch.run.params if one.name == "at_once")


def word(number: float) -> str:
    """As the pages write it."""
    return WORDS[int(number)]


AGENTS: Final = USUAL.agents
FIGURES: Final = {
    "concepts/agents.md": [
        f"| `usd` | {AGENTS.usd} |",
        f"| `turns` | {AGENTS.turns} |",
        f"| `calls` | {AGENTS.calls} |",
        f"| `seconds` | {AGENTS.seconds:g} |",
        f"| `depth` | {AGENTS.depth} |",
        f"| `children` | {AGENTS.children} |",
        f"{AGENTS.unpriced_tokens:,} tokens hold",
        f"{word(AGENTS.approval_s / 60)} minutes (`agents.approval_s`)",
    ],
    "concepts/comparing.md": [
        f"{word(asked.MODELS[0]).title()} to {word(asked.MODELS[1])} models",
        f"than {USUAL.budget.confirm_usd} dollar (`budget.confirm_usd`)",
        f"at most {stats.ALPHA * 100:g} %",
    ],
    "concepts/files-and-media.md": [
        f"{USUAL.files.max_bytes // 2**20} MiB (`max_bytes`)",
        f"{USUAL.files.max_files} files (`max_files`) and {Limits().total // 2**20} MiB in all",
    ],
    "concepts/keys-and-trust.md": [
        f"`mcp_llm.toml` over {config.MAX_PROJECT_FILE // 1024} KiB",
        f"`.env` over {envfile.MAX_BYTES // 2**20} MiB",
        f"shorter than {redactor.SHORTEST}\ncharacters",
    ],
    "concepts/long-calls-and-runs.md": [
        f"every {word(life.BEAT)} seconds",
        f"task after {word(TASK_AFTER_S)} seconds",
        f"{host(None).soft_deadline} seconds where nothing is known",
        f"a lease of {word(lease.TTL_S)} seconds",
        f"same model call {word(resuming.MOST)} times",
    ],
    "concepts/models-and-routing.md": [
        f"up to {word(USUAL.retries.attempts)} times (`retries.attempts`)",
    ],
    "concepts/money.md": [
        f"{USUAL.agents.usd} dollars unless you say otherwise",
        f"`budget.confirm_usd` ({USUAL.budget.confirm_usd} dollar)",
    ],
    "concepts/reliability.md": [
        f"{word(remote.RESTARTS)} times",
        f"flight {word(run.FINISH)} seconds",
        f"`max_calls` ({USUAL.max_calls})",
    ],
    "guides/batches.md": [f"in flight, {AT_ONCE.default} unless you say otherwise; at most {AT_ONCE.type.max}"],
    "guides/hosts.md": [
        f"after {host(None).soft_deadline} seconds where nothing is known of the host",
        f"{host('claude-code').soft_deadline}\nfor Claude Code",
        f"{host('visual studio code').soft_deadline} for VS Code",
    ],
    "guides/serving-over-http.md": [
        f"127.0.0.1:{USUAL.http.port}/mcp",
        f"within {word(tokens.FRESH)} seconds",
    ],
    "guides/workflows.md": [
        f"Without them {USUAL.workflows.usd} dollars, {word(USUAL.workflows.seconds / 3600)} and",
        f"and {USUAL.workflows.parallel} tasks hold",
    ],
    "guides/writing-an-mcp-client.md": [
        f"{host(None).soft_deadline} seconds, {host(None).result_chars:,} characters",
    ],
}
"""Page -> what it says of limits and defaults, with the figures of the code."""


@pytest.mark.parametrize("name", FIGURES)
def test_figures_in_the_pages_are_those_of_the_code(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert [words for words in FIGURES[name] if words not in text] == []
