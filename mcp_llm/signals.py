"""The signals that end a process of ours in order, and those that end none. Who runs the event loop receives them."""

from __future__ import annotations

import signal

__all__ = ["ending", "unmeant"]


def ending() -> list[signal.Signals]:
    """SIGTERM, SIGINT and, unless we were started to outlive the terminal (`nohup`), SIGHUP."""
    found = [signal.Signals[name] for name in ("SIGTERM", "SIGINT") if hasattr(signal, name)]
    if (hung_up := getattr(signal, "SIGHUP", None)) is not None and signal.getsignal(hung_up) is not signal.SIG_IGN:
        found.append(hung_up)
    return found


def unmeant() -> None:
    """Ignore the signals whose default ends a process although nobody means that: SIGUSR1, SIGUSR2, SIGALRM."""
    for name in ("SIGUSR1", "SIGUSR2", "SIGALRM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
