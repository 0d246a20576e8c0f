"""The signals that end a process of ours in order. It receives none; who runs the event loop does."""

from __future__ import annotations

import signal

__all__ = ["ending"]


def ending() -> list[signal.Signals]:
    """SIGTERM, SIGINT and, unless we were started to outlive the terminal (`nohup`), SIGHUP."""
    found = [signal.Signals[name] for name in ("SIGTERM", "SIGINT") if hasattr(signal, name)]
    if (hung_up := getattr(signal, "SIGHUP", None)) is not None and signal.getsignal(hung_up) is not signal.SIG_IGN:
        found.append(hung_up)
    return found
