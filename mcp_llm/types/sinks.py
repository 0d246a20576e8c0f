"""Where events go: to several at once, or to a function. No files here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .events import dump

if TYPE_CHECKING:
    from collections.abc import Callable

    from .events import Event


class EventSink(Protocol):
    """Where events go. Called in the order of `seq`, on the run's own event loop; it must not block."""

    def emit(self, event: Event) -> None:
        """Take one; what is raised is told once, and ends what this sink is given."""
        ...


class Fan:
    """A sink that hands on to several; one that raises is left out from then on and does not stop the run."""

    __slots__ = ("_sinks", "failed")

    def __init__(self, *sinks: EventSink) -> None:
        self._sinks = list(sinks)
        self.failed: list[str] = []
        """What became of sinks that raised, one sentence each."""

    def add(self, sink: EventSink) -> None:
        """Another sink, for the events from now on."""
        self._sinks.append(sink)

    def remove(self, sink: EventSink) -> None:
        """No more events for this one."""
        self._sinks = [one for one in self._sinks if one is not sink]

    def emit(self, event: Event) -> None:
        """To all of them, in order."""
        for sink in list(self._sinks):
            try:
                sink.emit(event)
            except Exception as exc:
                self.remove(sink)
                self.failed.append(f"{type(sink).__name__} failed on {event.event} with {type(exc).__name__}: {exc}")


class Callback:
    """A sink of a plain function that takes each event as a dict, the shape of `on_event`."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[dict[str, Any]], Any]) -> None:
        self._function = function

    def emit(self, event: Event) -> None:
        """Call it."""
        self._function(dump(event))
