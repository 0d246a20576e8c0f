"""What can be asked right now: models with tier, capabilities, context and price, and what the others lack."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mcp_llm.catalog import price
from mcp_llm.errors import ConfigError, Error
from mcp_llm.types.message import Value

from . import doing
from .models import MOST, each

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mcp_llm.catalog.find import Target
    from mcp_llm.catalog.schema import Kind
    from mcp_llm.wires.base import ModelInfo

    from .service import Service


class ModelRow(Value):
    """One model. Prices are dollars per million tokens, None is unknown; `configured` says whether it can be asked.

    What is paid by the piece costs `piece_usd` for each `piece` (`image`, `second`, `hour`, `million characters`).
    """

    model: str
    provider: str
    configured: bool
    tier: str | None = None
    name: str | None = None
    can: tuple[str, ...] | None = None
    reads: tuple[str, ...] | None = None
    context: int | None = None
    output: int | None = None
    input_usd: float | None = None
    output_usd: float | None = None
    piece_usd: float | None = None
    piece: str | None = None
    price_source: str | None = None
    priced_at: str | None = None
    local: bool = False
    retires: str | None = None


class Listing(Value):
    """Models, the one in force when none is named, and how to get at the providers that lack a key."""

    default: str | None
    because: str
    models: tuple[ModelRow, ...]
    missing: dict[str, str]
    """Provider -> what has to be set."""
    problems: tuple[str, ...] = ()


async def list_models(
    service: Service,
    *,
    provider: str | None = None,
    search: str | None = None,
    live: bool = False,
    everything: bool = False,
    kind: Kind = "chat",
) -> Listing:
    """The list. `live` also asks the providers for their own lists; `everything` adds those without a key.

    `kind` is the operation: models for it are known from the catalog only, since vendors' lists do not tell.
    """
    ready = {one.provider_id for one in await service.available()}
    problems = [*service.config.problems, *service.runs.store.notes]
    rows: list[ModelRow] = []
    missing: dict[str, str] = {}
    wanted = [service.catalog.id_of(provider)] if provider else None
    states = {one: _configured(service, one, ready) for one in wanted or service.catalog.ids}
    asked = [one for one, configured in states.items() if configured and _tells(service, one, live=live)]
    told = await _told(service, asked, refresh=live) if kind == "chat" else {}
    for provider_id, configured in states.items():
        entry = service.catalog.provider(provider_id)
        if entry.retired:
            if wanted:
                problems.append(f"{provider_id}: {entry.retired}")
            continue
        if not configured:
            missing[provider_id] = _missing(service, provider_id)
            if not (wanted or everything):
                continue
        infos = told.get(provider_id) or service.models.known(provider_id) or []
        if isinstance(infos, Error):
            problems.append(str(infos)[:300])
            infos = service.models.known(provider_id) or []
        if kind != "chat":
            infos = []
        if len(infos) == MOST:
            problems.append(
                f"{provider_id}: it lists {MOST:,} models or more; no more than the first {MOST:,} are known"
            )
        found = _rows(service, provider_id, infos, kind, configured=configured)
        if configured and not found and kind == "chat":
            problems.append(f"{provider_id}: what it serves is known only to itself; `live` asks it")
        rows += found
    if search:
        words = search.lower().split()
        rows = [row for row in rows if all(word in f"{row.model} {row.name or ''}".lower() for word in words)]
    default, because = await _default(service, kind)
    return Listing(default=default, because=because, models=tuple(rows), missing=missing, problems=tuple(problems))


def _configured(service: Service, provider_id: str, ready: Collection[str]) -> bool:
    entry = service.catalog.provider(provider_id)
    remote = not (entry.local or entry.discover) and provider_id not in service.backends.builtin
    return provider_id in ready or (remote and service.access.reachable(provider_id, entry))


def _tells(service: Service, provider_id: str, *, live: bool) -> bool:
    """Whether it is asked for its list: a server of one's own always, since only itself knows it."""
    entry = service.catalog.provider(provider_id)
    return provider_id != "demo" and not entry.retired and (live or entry.local or bool(entry.discover))


async def _told(service: Service, ids: Collection[str], *, refresh: bool) -> dict[str, list[ModelInfo] | Error]:
    """What each provider says that it has, or why it does not."""

    async def ask(provider_id: str) -> list[ModelInfo] | Error:
        try:
            return await service.models.of(provider_id, refresh=refresh)
        except Error as exc:
            return exc

    return await each(ids, ask)


async def _default(service: Service, kind: Kind) -> tuple[str | None, str]:
    try:
        plan = await (service.plan(None, None) if kind == "chat" else doing.plan(service, kind, None, None))
    except Error as exc:
        return None, str(exc)
    return plan.targets[0].name, plan.because


def _missing(service: Service, provider_id: str) -> str:
    entry = service.catalog.provider(provider_id)
    if (words := service.backends.lacking(provider_id)) is not None:
        return words
    if entry.local:
        return "no server answers on this machine"
    if entry.discover:
        return "no server answers at its address"
    if not service.access.has_key(provider_id, entry):
        return f"set {service.access.variables(provider_id, entry)[0]}"
    try:
        service.access.base_url(provider_id, entry)
    except ConfigError as exc:
        return str(exc)
    return "disabled in the settings"


def _rows(
    service: Service, provider_id: str, infos: Iterable[ModelInfo], kind: Kind, *, configured: bool
) -> list[ModelRow]:
    entry = service.catalog.provider(provider_id)
    tiers = {model: tier for tier, model in reversed(entry.tiers.items())}
    told = {info.id: info for info in infos}
    ids = [*entry.models, *(model for model in told if model not in entry.models)]
    rows = []
    for model_id in ids:
        model = entry.models.get(model_id)
        meant = entry.defaults.get(kind) == model_id  # the demo's one model does everything
        if model is not None and ((model.kind != kind and not meant) or model.retired):
            continue
        try:
            target = service.catalog.target(provider_id, model_id, kind)
        except Error:
            continue  # an id of the provider's own list that can be no name (T35)
        if kind == "chat" and target.local and model_id in told and told[model_id].can == ():
            continue  # it says itself that it writes nothing: an embedding model
        rows.append(_row(service, target, tiers.get(model_id), told.get(model_id), configured=configured))
    return rows


def _row(service: Service, target: Target, tier: str | None, info: ModelInfo | None, *, configured: bool) -> ModelRow:
    facts, overrides = target.facts, service.purse.overrides
    # What stands in the catalog of a server's models in general gives way to what one of them says of itself.
    words = [info, facts] if target.local else [facts, info]
    now = datetime.now(UTC)
    rates = price.rates(target, now, overrides=overrides)
    offer = price.source(target, now, overrides=overrides)
    paid = price.piece(target, now, overrides=overrides)
    return ModelRow(
        model=target.name,
        provider=target.provider_id,
        configured=configured,
        tier=tier,
        name=(target.model.name if target.model else None) or (info.name if info else None),
        can=next((one.can for one in words if one is not None and one.can is not None), None),
        reads=next((one.reads for one in words if one is not None and one.reads is not None), None),
        context=(info.context if info else None) or facts.context,
        output=(info.output if info else None) or facts.output,
        input_usd=float(rates[0]) if rates else info.input_price if info else None,
        output_usd=float(rates[1]) if rates and rates[1] is not None else info.output_price if info else None,
        piece_usd=float(paid[0]) if paid else None,
        piece=paid[1] if paid else None,
        price_source=offer[0] if offer else None,
        priced_at=offer[1].isoformat() if offer and offer[1] else None,
        local=target.local,
        retires=facts.retires.isoformat() if facts.retires else info.retires if info else None,
    )
