"""From what the caller wrote to whom to ask: `provider:model`, `provider:tier` or a bare id -> Target. Pure.

Settings' aliases, bare tiers and `auto` are routing's; so is whether a key is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import ConfigError, InvalidInput, UnknownModel, UnknownProvider, Unsupported
from mcp_llm.types.nearest import nearest

from .source import CODE_WIRES, Layer, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .merge import Merged
    from .schema import Facts, Model, Provider
    from .source import Index

MAX_NAME: Final = 200
MAX_CACHED: Final = 4096
TIERS: Final[Mapping[str, str]] = MappingProxyType(
    {"pro": "pro", "balanced": "balanced", "lite": "lite", "1": "pro", "2": "balanced", "3": "lite"}
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PROVIDER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One model of one provider, with everything known of it. `model` is None for an id the catalog has not.

    `facts` are merged (rules, then the model's own); `quirks` is an instance of the wire's `Quirks`, None for a
    provider in code. One Target per (provider, model) and catalog: compare by identity.
    """

    provider: Provider
    provider_id: str
    model_id: str
    model: Model | None
    facts: Facts
    wire: str
    quirks: Any
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`provider:model`, which finds this target again."""
        return f"{self.provider_id}:{self.model_id}"

    @property
    def local(self) -> bool:
        """Whether it runs on this machine: free, and nothing leaves it."""
        return self.provider.local and not self.facts.remote


class Catalog:
    """Every provider that is known. Cheap to make: a provider's file is parsed when it is first looked at."""

    def __init__(self, sources: Mapping[str, Source], problems: tuple[str, ...] = ()) -> None:
        self.problems = problems
        """What was wrong with the user's files, one sentence each."""
        self._sources = dict(sources)
        self._found: dict[tuple[str, str], Target] = {}
        self._targets: dict[tuple[str, str, str], Target] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all providers, the package's first; nothing is parsed for it."""
        return tuple(self._sources)

    @property
    def own_ids(self) -> tuple[str, ...]:
        """The ids of providers that are only in the user's files."""
        return tuple(name for name, source in self._sources.items() if source.file is None and source.layers)

    def moved(self) -> Iterator[tuple[str, str, str]]:
        """(provider of the package's, the user's file that gives it another base URL, that URL)."""
        for name, source in self._sources.items():
            for layer in source.layers if source.file is not None else ():
                if layer.text and isinstance(url := layer.data.get("base_url"), str):
                    yield name, layer.origin, url

    @cached_property
    def providers(self) -> Mapping[str, Provider]:
        """All providers by id. Parses every file: for lists, not for one call."""
        return MappingProxyType({name: source.provider for name, source in self._sources.items()})

    def provider(self, provider_id: str) -> Provider:
        """The provider of this id or other spelling. Raises UnknownProvider with near misses."""
        return self._source(provider_id).provider

    def id_of(self, name: str) -> str:
        """The id of a provider by any of its spellings. Raises UnknownProvider with near misses."""
        return self._source(name).id

    def models(self, provider_id: str) -> Mapping[str, Model]:
        """The models that the catalog names for a provider, by id."""
        return MappingProxyType(self.provider(provider_id).models)

    def facts(self, provider_id: str, model_id: str) -> Facts:
        """What is known of a model, also of one that only rules match; None everywhere where nothing is."""
        return self._merged(self._source(provider_id), model_id).facts

    def quirks(self, provider_id: str, operation: str) -> Any:
        """The quirks of another operation's wire (`models`, `tokens`). Raises Unsupported where there is none."""
        source = self._source(provider_id)
        wire = source.provider.wires.get(operation)
        if wire is None:
            raise Unsupported(f"{source.id} has no wire for {operation!r}")
        return check(wire, source.provider.quirks.get(operation, {}), source.id, operation)

    def add(self, provider_id: str, table: Mapping[str, Any]) -> None:
        """A provider that came up while running; replaces one of the same id. Raises ConfigError for a wrong table."""
        source = Source(provider_id, None, (Layer(f"provider {provider_id}", table),))
        _ = source.provider
        self._sources[provider_id] = source
        self._found.clear()
        self._targets.clear()
        self.__dict__.pop("providers", None)

    def find(self, model: str, operation: str = "chat") -> Target:
        """The target of `provider:model`, `provider:tier` or a bare id (the provider that is nearest to it).

        Raises InvalidInput for what can be no name, UnknownProvider, UnknownModel, and Unsupported for a provider that
        is no more or does not do this operation.
        """
        key = (operation, model)
        found = self._found.get(key)
        if found is None:
            found = self._find(model, operation)
            if len(self._found) >= MAX_CACHED:
                self._found.clear()
            self._found[key] = found
        return found

    def target(self, provider_id: str, model_id: str, operation: str = "chat") -> Target:
        """The target of an exact id at a provider; an id that is in no list passes, with a warning."""
        key = (provider_id, model_id, operation)
        if (found := self._targets.get(key)) is None:
            found = self._target(self._source(provider_id), model_id, operation)
            if len(self._targets) >= MAX_CACHED:
                self._targets.clear()
            self._targets[key] = found
        return found

    def default(self, provider_id: str, operation: str) -> str | None:
        """The model that a provider is asked for this operation where none is named."""
        return next((name for kind, name in self.provider(provider_id).defaults.items() if kind == operation), None)

    def _find(self, model: str, operation: str) -> Target:
        check_name(model)
        head, colon, rest = model.partition(":")
        if colon and (source := self._known(head)) is not None:
            return self._at(source, rest, operation)
        places = self._places(model)
        if places:
            return self.target(*places[0], operation)
        if (source := self._known(model)) is not None:
            # A provider alone means its balanced model, or the nearest it has.
            for tier in ("balanced", "pro", "lite"):
                if (model_id := self._of_tier(source, tier, operation)) is not None:
                    return self.target(source.id, model_id, operation)
            raise UnknownModel(f"{source.id} is a provider; name one of its models: {source.id}:<model>")
        if colon and _PROVIDER_ID.fullmatch(head):
            raise UnknownProvider(
                f"no provider is called {head!r}.{self._near_providers(head)} If {model!r} is a model's own id, put "
                f"its provider before it: <provider>:{model}"
            )
        near = self._near_models(model)
        raise UnknownModel(
            f"no provider is known for the model {model!r}.{_meant(near)} Name its provider, as in <provider>:{model}",
            near,
        )

    def _at(self, source: Source, rest: str, operation: str) -> Target:
        provider = source.provider
        if not rest.strip():
            raise InvalidInput(f"{source.id}: names no model; write {source.id}:<model> or {source.id}:pro")
        if rest in provider.models:
            return self.target(source.id, rest, operation)
        if (tier := TIERS.get(rest)) is not None:
            if (model_id := self._of_tier(source, tier, operation)) is not None:
                return self.target(source.id, model_id, operation)
            offered = ", ".join(provider.tiers)
            more = f"; it has {offered}" if offered else "; what it serves is known only when it is asked"
            raise UnknownModel(f"{source.id} has no {tier!r} model{more}. Name one: {source.id}:<model>")
        return self.target(source.id, source.index.aliases.get(rest, rest), operation)

    def _of_tier(self, source: Source, tier: str, operation: str) -> str | None:
        """Tiers are of chat models; for another operation a provider has one model that is meant."""
        if operation != "chat":
            return self.default(source.id, operation)
        return next((model_id for name, model_id in source.provider.tiers.items() if name == tier), None)

    def _places(self, model_id: str) -> list[tuple[str, str]]:
        """(provider, exact id) for a bare id, nearest first: longest prefix, then the catalog's order."""
        ranked: list[tuple[bool, int, int, str, str]] = []
        for order, (name, index) in enumerate(self._indexes()):
            prefix = max((len(prefix) for prefix in index.prefixes if model_id.startswith(prefix)), default=0)
            known = model_id if model_id in index.models else index.aliases.get(model_id)
            if known is not None:
                own = max((len(start) for start in index.prefixes if known.startswith(start)), default=0)
                ranked.append((False, -own, order, name, known))
            elif prefix:
                ranked.append((True, -prefix, order, name, model_id))
        ranked.sort()
        return [(name, known) for _, _, _, name, known in ranked]

    def _indexes(self) -> Iterator[tuple[str, Index]]:
        for name, source in self._sources.items():
            yield name, source.index

    def _known(self, name: str) -> Source | None:
        if (source := self._sources.get(name)) is not None:
            return source
        lower = name.lower()
        if (source := self._sources.get(lower)) is not None:
            return source
        return next((source for source in self._sources.values() if lower in source.index.names), None)

    def _source(self, name: str) -> Source:
        if (source := self._known(name)) is None:
            raise UnknownProvider(f"no provider is called {name[:MAX_NAME]!r}.{self._near_providers(name)}")
        return source

    def _near_providers(self, name: str) -> str:
        spellings = {
            other: source.id for source in self._sources.values() for other in (source.id, *source.index.names)
        }
        return _meant(_near(name, spellings)) or f" There are {', '.join(self.ids)}."

    def _near_models(self, model_id: str, only: str | None = None) -> list[str]:
        spellings: dict[str, str] = {}
        for name, index in self._indexes():
            if only is None or name == only:
                spellings |= {known.lower(): f"{name}:{known}" for known in index.models}
                spellings |= {alias.lower(): f"{name}:{known}" for alias, known in index.aliases.items()}
        return _near(model_id, spellings)

    def _merged(self, source: Source, model_id: str, operation: str = "chat") -> Merged:
        from .merge import merged

        provider = source.provider
        lenders = [self._source(name).provider for name in provider.rules_from]
        return merged(provider, lenders, model_id, operation)

    def _target(self, source: Source, model_id: str, operation: str) -> Target:
        check_name(model_id)
        provider = source.provider
        if provider.retired:
            raise Unsupported(f"{source.id} cannot be asked any more: {provider.retired}")
        layers = self._merged(source, model_id, operation)
        model = provider.models.get(model_id)
        if not layers.wire:
            raise Unsupported(self._wireless(source, model_id, operation))
        if operation != "chat" and model is not None and model.kind not in {operation, "chat"}:
            others = self._meant(source, operation)
            raise Unsupported(f"{source.id}:{model_id} is a model for {model.kind}, not for {operation}.{others}")
        warnings = []
        if model is None and not provider.open and not provider.local:
            near = _meant(self._near_models(model_id, source.id))
            warnings.append(f"{model_id!r} is not in the catalog of {source.id}; it is sent as it is.{near}")
        if layers.facts.retired:
            warnings.append(f"{source.id}:{model_id} is retired: {layers.facts.retired}")
        quirks = check(layers.wire, layers.quirks, f"{source.id}:{model_id}", operation)
        return Target(provider, source.id, model_id, model, layers.facts, layers.wire, quirks, tuple(warnings))

    def _wireless(self, source: Source, model_id: str, operation: str) -> str:
        if operation == "chat":
            return f"{source.id} has no chat wire, so {model_id!r} cannot be asked; set `wires.chat`"
        able = [name for name, provider in self.providers.items() if operation in provider.wires]
        return f"{source.id} does not do {operation}; of the known providers these do: {', '.join(able)}"

    def _meant(self, source: Source, operation: str) -> str:
        names = [f"{source.id}:{name}" for name, model in source.provider.models.items() if model.kind == operation]
        return f" Ask {' or '.join(names)}." if names else ""


def _near(name: str, spellings: Mapping[str, str]) -> list[str]:
    close = nearest(name.lower(), spellings, most=3, likeness=0.7)
    return list(dict.fromkeys(spellings[match] for match in close))


def _meant(close: Sequence[str]) -> str:
    return f" Did you mean {' or '.join(close)}?" if close else ""


def check(wire: str, quirks: Mapping[str, Any], who: str, operation: str = "chat") -> Any:
    """The wire's `Quirks` with these values; None for a wire that is code. Raises ConfigError for a wrong one."""
    from pydantic import ValidationError

    from mcp_llm.wires import base

    if wire in CODE_WIRES:
        return None
    try:
        if not operation.isidentifier():
            raise KeyError(operation)
        module = import_module(f"mcp_llm.wires.{operation}").wire(wire)
    except (ModuleNotFoundError, KeyError):
        raise ConfigError(f"{who}: there is no wire {wire!r} for {operation!r}") from None
    cls = getattr(module, "Quirks", base.Quirks)
    try:
        return cls(**{name: None if value == "null" else value for name, value in quirks.items()})
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(item) for item in first["loc"])
        message = first["msg"]
        if first["type"] == "extra_forbidden":
            close = nearest(name, cls.model_fields)
            message = "unknown quirk" + (f", did you mean `{close[0]}`?" if close else f" of the wire {wire}")
        raise ConfigError(f"{who}: quirk `{name}`: {message}") from None


def check_quirks(provider: Provider, origin: str) -> None:
    """Try every set of quirks that a provider's file states. Raises ConfigError for the first wrong one."""
    from .merge import stated

    for operation, wire, quirks, where in stated(provider):
        check(wire, quirks, f"{origin}: {where}", operation)


def check_name(model: str) -> None:
    """Raise InvalidInput for what can be no model's name: nothing, a page of text, what no line or wire can carry."""
    if not model.strip():
        raise InvalidInput("`model` is empty; give one such as provider:model")
    if len(model) > MAX_NAME:
        raise InvalidInput(f"`model` is too long for a name: {len(model)} characters, at most {MAX_NAME} are taken")
    if _CONTROL.search(model):
        raise InvalidInput("`model` holds control characters or a line break; list_models shows the names")
