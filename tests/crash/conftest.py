"""The command line as people run it, in a home of its own."""

from cli.conftest import bare, cold, forks, run

__all__ = ["bare", "cold", "forks", "run"]
