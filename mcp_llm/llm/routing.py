"""(model?, context?, declared tier) -> the targets to ask, in order; pure, so every rule is a line in a table test.

Without a model: exact context > best glob (most literal characters) > the tier that a prompt or agent declares > the
default. A name is an alias, `auto`, a tier, or whatever the catalog can find.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mcp_llm.catalog.globs import literals, matches
from mcp_llm.errors import ConfigError, Denied, UnknownModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcp_llm.catalog.find import Target
    from mcp_llm.settings import Route, Settings, Tier

TIERS: Final[dict[str, Tier]] = {
    "pro": "pro",
    "balanced": "balanced",
    "flash": "balanced",
    "lite": "lite",
    "1": "pro",
    "2": "balanced",
    "3": "lite",
}
OURS: Final = frozenset({"auto", *TIERS})
ALIAS_DEPTH: Final = 8
NO_STAND_IN: Final = frozenset({"demo", "host"})
"""Asked where there is nothing else, or by name: the demo is no model, and the host's own may bother a person."""


@dataclass(frozen=True, slots=True)
class Available:
    """A provider that can be asked now; `models` names its tiers' models where the catalog does not (local servers)."""

    provider_id: str
    models: dict[Tier, str] = field(default_factory=dict)
    local: bool = False


@dataclass(slots=True)
class Plan:
    """Who will be asked. `asked` is the name the decision started from, `because` which rule made it."""

    asked: str
    because: str
    targets: list[Target]
    warnings: list[str] = field(default_factory=list)
    local_only: bool = False


@dataclass(frozen=True, slots=True)
class Router:
    """Settings and the catalog's `find`, joined to decide."""

    settings: Settings
    find: Callable[[str], Target]
    tier_of: Callable[[str, Tier], str | None]
    """(provider id, tier) -> the catalog's model id, or None."""

    def needs_available(self, model: str | None, context: str | None, tier: str | None) -> bool:
        """Whether deciding needs to know which providers can be asked (and so may have to look for local ones)."""
        asked, _, fallbacks = self._named(model, context, tier)
        return any(self._floating(name) for name in (asked, *fallbacks))

    def plan(self, model: str | None, context: str | None, tier: str | None, available: Sequence[Available]) -> Plan:
        """Targets in order, the first is the one meant, the others are its fallbacks."""
        asked, because, fallbacks = self._named(model, context, tier)
        targets = self._targets(asked, available)
        for name in fallbacks:
            targets += [target for target in self._targets(name, available)[:1] if target not in targets]
        route, _ = self.route(context)
        local_only = bool(route and route.local_only)
        if local_only:
            refused = [target for target in targets if not target.local]
            targets = [target for target in targets if target.local]
            if not targets:
                names = ", ".join(target.provider_id for target in refused)
                raise Denied(
                    f"context {context!r} is local_only, but {asked!r} means {names}, which is not on this machine. "
                    "Name a model on this machine (list_models shows them) or change the context's route."
                )
        warnings = [words for target in targets[:1] for words in target.warnings]
        return Plan(asked, because, targets, warnings, local_only)

    def _named(self, model: str | None, context: str | None, tier: str | None) -> tuple[str, str, Sequence[str]]:
        """(name that the decision starts from, which rule gave it, names of its fallbacks)."""
        route, pattern = self.route(context)
        if model:
            asked, because = model, "asked for"
        elif route and route.model:
            asked, because = route.model, f"context {pattern}"
        elif tier:
            asked, because = tier, "declared tier"
        else:
            asked, because = self.settings.default, "default"
        fallbacks = route.fallbacks if route and route.fallbacks else () if model else self.settings.fallbacks
        return asked, because, fallbacks

    def route(self, context: str | None) -> tuple[Route | None, str]:
        """The route of a context and the pattern that gave it."""
        routes = self.settings.contexts
        if not context or not routes:
            return None, ""
        if (exact := routes.get(context)) is not None:
            return exact, context
        matching = [pattern for pattern in routes if "*" in pattern and matches(pattern, context)]
        if not matching:
            return None, ""
        best = max(matching, key=lambda pattern: (literals(pattern), pattern))
        return routes[best], best

    def resolve(self, name: str) -> str:
        """Follow the user's aliases; `auto` and tiers are ours in any case."""
        for _ in range(ALIAS_DEPTH):
            if (target := self.settings.aliases.get(name)) is None:
                return name.lower() if name.lower() in OURS else name
            name = target
        raise ConfigError(f"the alias {name!r} leads in a circle; mend [aliases] in the config file")

    def _floating(self, name: str) -> bool:
        name = self.resolve(name)
        if name == "auto":
            return True
        if name in TIERS:
            return TIERS[name] not in self.settings.tiers
        try:
            self.find(name)
        except UnknownModel:
            return True  # `ollama:pro` and `ollama` mean whatever the server on this machine has
        return False

    def _targets(self, name: str, available: Sequence[Available]) -> list[Target]:
        name = self.resolve(name)
        if name in TIERS and (own := self.settings.tiers.get(TIERS[name])):
            name = self.resolve(own)
        if name == "auto" or name in TIERS:
            tier = TIERS.get(name, "balanced")
            found = [target for one in available if (target := self._of_tier(one, tier)) is not None]
            if not found:
                raise UnknownModel(
                    f"no provider that can be asked has a {tier} model. Set a provider's key (mcp-llm doctor lists "
                    "them), start a local server, or ask for model='demo'."
                )
            # Whoever asks for `auto` or a tier leaves the choice to us: the next providers stand in, these never do.
            return [found[0], *[target for target in found[1:3] if target.provider_id not in NO_STAND_IN]]
        provider_id, colon, rest = name.partition(":")
        for one in available:
            if one.provider_id == provider_id and one.models and (not colon or rest in TIERS):
                return [self.find(f"{provider_id}:{one.models[TIERS.get(rest, 'balanced')]}")]
        return [self.find(name)]

    def _of_tier(self, one: Available, tier: Tier) -> Target | None:
        model = one.models.get(tier) or self.tier_of(one.provider_id, tier)
        return self.find(f"{one.provider_id}:{model}") if model else None
