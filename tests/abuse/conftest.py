"""The command beside the server, for what shows elsewhere than where it was said; providers that are scripted."""

from __future__ import annotations

from cli.conftest import bare, cold, forks, run
from llm.conftest import asking

__all__ = ["asking", "bare", "cold", "forks", "run"]
