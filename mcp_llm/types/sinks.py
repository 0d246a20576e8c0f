"""Where events go: to several at once, to a function, to lines of JSON; and lines of JSON read back. No files here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from .events import decode, dump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .events import Event


class EventSink(Protocol):
    """Where events go. Called in the order of `seq`, on the run's own event loop; it must not block."""

    def emit(self, event: Event) -> None: ...


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


class JsonLines:
    """A sink that writes one JSON object a line. `write` gets whole lines as bytes, ended by one newline."""

    __slots__ = ("_write",)
    SEPARATORS: ClassVar = (",", ":")

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self._write = write

    def emit(self, event: Event) -> None:
        """One line. Characters beyond ASCII are escaped: no reader that splits at U+2028 can cut a line in two."""
        self._write(json.dumps(dump(event), separators=self.SEPARATORS).encode() + b"\n")


def read_lines(data: bytes) -> Iterator[Event]:
    """The events of a JSONL file, split at newline bytes only; a last line without its newline was cut and is left out.

    Raises pydantic.ValidationError for a line that is no event.
    """
    for line in data.split(b"\n")[:-1]:
        if line.strip():
            yield decode(line)
