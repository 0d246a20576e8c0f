"""What is known of one model: the layers of its provider's file, and of rules it borrows, on one another. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .globs import matches
from .schema import Facts, Model

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .schema import Provider

NAMES: Final = tuple(name for name in Facts.model_fields if name not in {"wire", "quirks"})


@dataclass(slots=True)
class Merged:
    """The outcome: one set of facts, the wire that holds, and that wire's quirks."""

    facts: Facts
    wire: str
    quirks: dict[str, Any] = field(default_factory=dict)


def merged(provider: Provider, lenders: Sequence[Provider], model_id: str, operation: str = "chat") -> Merged:
    """Later wins: the lenders' rules, the provider's rules, the model's own table.

    A quirk counts only where the wire it was stated for is the one that holds in the end: a provider with a second
    wire for one family (`wire` in a rule) keeps the quirks of the two apart, and borrowed rules bring theirs along. A
    rule's quirks are for the wire it names, else for its provider's own; a model's are for the wire that holds.

    Wires, quirks and base URLs in rules are chat's. For another operation there are the provider's and the model's.
    """
    running = provider.wires.get(operation, "")
    values: dict[str, Any] = {}
    stated: list[tuple[str, dict[str, Any]]] = [(running, provider.quirks.get(operation, {}))]
    for owner, facts in _layers(provider, lenders, model_id):
        spoken = (facts.kind if isinstance(facts, Model) else "chat") == operation
        if spoken:
            running = facts.wire or running
            wire = running if isinstance(facts, Model) else facts.wire or owner.wires.get(operation, "")
            if facts.quirks:
                stated.append((wire, facts.quirks))
        for name in NAMES:
            value = getattr(facts, name)
            # Borrowed rules say what a family is like; when it ends is up to each provider.
            if value is None or (owner is not provider and name in {"retires", "retired"}):
                continue
            if name == "base_url" and not spoken:
                continue
            old = values.get(name)
            values[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    if (own := provider.base_urls.get(operation)) is not None:
        values.setdefault("base_url", own)
    quirks: dict[str, Any] = {}
    for wire, table in stated:
        if wire == running:
            quirks.update(table)
    return Merged(Facts.model_construct(**values, wire=running or None, quirks=quirks or None), running, quirks)


def _layers(provider: Provider, lenders: Sequence[Provider], model_id: str) -> Iterator[tuple[Provider, Facts]]:
    for owner in (*lenders, provider):
        for rule in owner.rules:
            if any(matches(pattern, model_id) for pattern in rule.match):
                yield owner, rule
    if (model := provider.models.get(model_id)) is not None:
        yield provider, model


def stated(provider: Provider) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """(operation, wire, quirks, where) of every table of quirks in a provider's file."""
    for operation, table in provider.quirks.items():
        yield operation, provider.wires.get(operation, ""), table, f"[quirks.{operation}]"
    for number, rule in enumerate(provider.rules, 1):
        if rule.quirks:
            wire = rule.wire or provider.wires.get("chat", "")
            yield "chat", wire, rule.quirks, f"[[rules]] {number} ({rule.match[0] if rule.match else 'no glob'})"
    for name, model in provider.models.items():
        if model.quirks:
            yield model.kind, merged(provider, (), name, model.kind).wire, model.quirks, f"[models.{name}]"
