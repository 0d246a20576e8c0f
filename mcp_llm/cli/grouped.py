"""A group of commands whose help says the whole first sentence of each; click would cut it with dots.

It is no place for options: each command has its own.
"""

from __future__ import annotations

from typing import Final

import click

WHOLE: Final = 1000  # characters; more than any first sentence has


class Group(click.Group):
    """A group that lists its commands uncut; long lines are folded to the terminal."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help."""
        named = [
            (name, one) for name in self.list_commands(ctx) if (one := self.get_command(ctx, name)) and not one.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(WHOLE)) for name, one in named])
