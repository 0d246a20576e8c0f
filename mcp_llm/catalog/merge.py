"""What is known of one model: the layers of its provider's file (and of the rules it borrows) laid on one another. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .globs import matches
from .schema import Facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .schema import Provider

NAMES: Final = tuple(name for name in Facts.model_fields if name not in {"wire", "quirks"})


@dataclass(slots=True)
class Merged:
    """The outcome: one set of facts, the wire that holds, and that wire's quirks."""

    facts: Facts
    wire: str
    quirks: dict[str, Any] = field(default_factory=dict)


def merged(provider: Provider, lender: Provider | None, model_id: str) -> Merged:
    """Later wins: the lender's rules, the provider's rules, the model's own table.

    A quirk counts only where the wire it was stated for is the one that holds in the end: a provider with a second
    wire for one family (`wire` in a rule) keeps the quirks of the two apart, and borrowed rules bring theirs along.
    """
    running = provider.wires.get("chat", "")
    values: dict[str, Any] = {}
    stated: list[tuple[str, dict[str, Any]]] = [(running, provider.quirks.get("chat", {}))]
    for owner, facts in _layers(provider, lender, model_id):
        wire = facts.wire or (running if owner is provider else owner.wires.get("chat", ""))
        if facts.wire:
            running = facts.wire
        if facts.quirks:
            stated.append((wire, facts.quirks))
        for name in NAMES:
            value = getattr(facts, name)
            if value is not None:
                old = values.get(name)
                values[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    quirks: dict[str, Any] = {}
    for wire, table in stated:
        if wire == running:
            quirks.update(table)
    return Merged(Facts.model_construct(**values, wire=running or None, quirks=quirks or None), running, quirks)


def _layers(provider: Provider, lender: Provider | None, model_id: str) -> Iterator[tuple[Provider, Facts]]:
    for owner in (lender, provider):
        if owner is not None:
            for rule in owner.rules:
                if any(matches(pattern, model_id) for pattern in rule.match):
                    yield owner, rule
    if (model := provider.models.get(model_id)) is not None:
        yield provider, model


def stated(provider: Provider) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(wire, quirks, where) of every table of quirks in a provider's file."""
    chat = provider.wires.get("chat", "")
    yield chat, provider.quirks.get("chat", {}), "[quirks.chat]"
    for number, rule in enumerate(provider.rules, 1):
        if rule.quirks:
            yield rule.wire or chat, rule.quirks, f"[[rules]] {number} ({rule.match[0] if rule.match else 'no glob'})"
    for name, model in provider.models.items():
        if model.quirks:
            yield merged(provider, None, name).wire, model.quirks, f"[models.{name}]"
