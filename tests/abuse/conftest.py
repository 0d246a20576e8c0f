"""The command beside the server, for what shows elsewhere than where it was said."""

from __future__ import annotations

from cli.conftest import bare, cold, forks, run

__all__ = ["bare", "cold", "forks", "run"]
