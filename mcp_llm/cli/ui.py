"""`mcp-llm ui`: runs, usage and settings as pages in a browser on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from . import running, terminal

if TYPE_CHECKING:
    from mcp_llm.app import App

IN_TERMINAL: Final = frozenset({"www-browser", "links", "elinks", "lynx", "w3m"})
"""Browsers that would take the terminal that the address is printed in."""

EXAMPLES: Final = """\b
Examples:
  mcp-llm ui
  mcp-llm ui --port 8700 --no-open
"""


@click.command(epilog=EXAMPLES)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="On 127.0.0.1; a free one without it.")
@click.option("--no-open", is_flag=True, help="Only print the address; the browser stays as it is.")
def command(port: int, no_open: bool) -> int:
    """Show what runs and has run, what was spent, and the settings, in the browser, until Ctrl-C.

    Nothing leaves this machine: the pages are served to its own browser only. The address works once; the next one is
    printed when it was used.
    """
    opened: list[str] = []

    def tell(address: str) -> None:
        terminal.line(address)
        if opened or no_open:
            return
        opened.append(address)
        if not _show(address):
            terminal.note("no browser could be started here: open the address above in one on this machine")

    async def work(app: App) -> None:
        from mcp_llm.server.pages.serve import serve

        terminal.note("Ctrl-C ends it", dim=True)
        await serve(app, port, tell)

    try:
        running.run(work)
    except running.Interrupted as exc:
        return 0 if exc.code == terminal.INTERRUPTED else exc.code
    return 0


def _show(address: str) -> bool:
    """Open it in a browser with windows, whose command may take as long as it likes. False where there is none."""
    import threading
    import webbrowser

    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return False
    if getattr(found, "basename", "") in IN_TERMINAL:
        return False
    threading.Thread(target=found.open, args=(address,), daemon=True).start()
    return True
