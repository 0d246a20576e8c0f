"""The settings page: providers and their keys, defaults, tiers, contexts, budgets - shown, saved and tried.

A key goes in and never comes out: what is shown of it is what `doctor` shows. Every request reads the files anew, since
they may be edited beside the page; only the user's own files are written, whatever the project's say.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, get_args

from mcp_llm import config as configuration
from mcp_llm.app import open_app
from mcp_llm.errors import ConfigError, Error, InvalidInput
from mcp_llm.llm.access import mask
from mcp_llm.settings import Settings, Tier

from . import written

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.app import App
    from mcp_llm.catalog.schema import Provider

MONEY: Final = ("call_usd", "day_usd", "day_calls", "day_tokens", "unknown_usd", "confirm_usd")
AGENTS: Final = ("usd", "turns", "seconds", "approval_s")
_PLACE: Final = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")


async def shown() -> dict[str, Any]:
    """Everything that the page shows; `own` is what the user's file says, `force` what holds after all layers."""
    async with open_app(configuration.load()) as app:
        providers = [_provider(app, name, one) for name, one in app.catalog.providers.items() if name != "demo"]
        providers.sort(key=lambda one: (not one["set"], one["local"], one["rank"]))
        return {
            "providers": providers,
            "own": _values(configuration.own(app.config.folder), said=True),
            "force": _values(app.config.settings),
            "model": await _in_force(app),
            "names": await _names(app),
            "problems": list(app.config.problems),
            "files": [_home(app.config.folder / name) for name in (".env", configuration.FILE)],
        }


async def key(body: dict[str, Any]) -> dict[str, Any]:
    """Set one of a provider's variables in the user's `.env`, or take it out (`value` null). Raises InvalidInput."""
    provider_id, name, value = body.get("provider"), body.get("name"), body.get("value")
    if not isinstance(provider_id, str) or not isinstance(name, str) or not isinstance(value, str | None):
        raise InvalidInput("say which `provider`, which `name`, and its `value`, null to take it out")
    async with open_app(configuration.load()) as app:
        provider = app.catalog.provider(app.catalog.id_of(provider_id))
        keys = app.access.variables(provider_id, provider)
        if name not in {*keys, *_places(provider)}:
            raise InvalidInput(f"{name[:80]} is no variable of {provider_id}")
        value = None if value is None else value.strip()
        if value is not None and name in keys and configuration.placeholder(value):
            raise InvalidInput(f"that is what samples have in the place of a key, not a key of {provider_id}")
        written.variable(app.config.folder / ".env", name, value)
    async with open_app(configuration.load()) as app:
        return {"provider": _provider(app, provider_id, app.catalog.provider(provider_id))}


async def checked(body: dict[str, Any]) -> dict[str, Any]:
    """Ask a provider whether it answers, which costs nothing: `{available, text, latency_ms}`."""
    if not isinstance(provider_id := body.get("provider"), str):
        raise InvalidInput("say which `provider`")
    from mcp_llm.cli import findings

    async with open_app(configuration.load()) as app:
        state = await app.models.health(app.catalog.id_of(provider_id), refresh=True)
        said = next(findings.checked(app, [state])).text.partition(": ")[2]
        return {"available": state.available, "text": said, "latency_ms": state.latency_ms}


async def saved(body: dict[str, Any]) -> dict[str, Any]:
    """Write what the form holds into the user's `mcp_llm.toml`; what is left empty is taken out. Raises ConfigError."""
    folder = configuration.folders()[0]
    changes = _changes(body, configuration.own(folder))
    path = folder / configuration.FILE
    text = written.settings(path, changes)
    configuration.check(text, path.name)
    written.put(path, text)
    return await shown()


def _changes(body: dict[str, Any], own: Settings) -> dict[tuple[str, ...], Any]:
    """Places in the file and what they become; what the body does not name stays."""
    changes: dict[tuple[str, ...], Any] = {}
    for name in ("default", "prefer", "fallbacks"):
        if name in body:
            changes[name,] = body[name] or None
    for table, names in (("tiers", get_args(Tier)), ("budget", MONEY), ("agents", AGENTS)):
        given = body.get(table)
        if not isinstance(given, dict):
            continue
        for name in names:
            if name in given:
                changes[table, name] = (
                    _figure(given[name], f"{table}.{name}") if table != "tiers" else given[name] or None
                )
    if isinstance(given := body.get("contexts"), list):
        wanted = {str(one.get("name", "")).strip(): one for one in given if isinstance(one, dict)}
        wanted.pop("", None)
        changes |= {("contexts", name): None for name in own.contexts if name not in wanted}
        for name, one in wanted.items():
            was = own.contexts.get(name)
            model, local = one.get("model") or None, one.get("local_only") is True
            if was is not None and (was.model, was.local_only) == (model, local):
                continue
            route = {"model": model, "fallbacks": list(was.fallbacks) if was else None, "local_only": local}
            said = {key: value for key, value in route.items() if value}
            changes["contexts", name] = model if set(said) == {"model"} else said or None
    return changes


def _figure(value: Any, where: str) -> Any:
    """A number as TOML writes it; empty is none. Raises InvalidInput."""
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InvalidInput(f"`{where}` is no number") from None
    return int(number) if number.is_integer() else number


def _provider(app: App, provider_id: str, provider: Provider) -> dict[str, Any]:
    names = app.access.variables(provider_id, provider)
    found: dict[str, Any] = {
        "id": provider_id,
        "name": provider.name,
        "rank": provider.rank,
        "local": provider.local,
        "variable": names[0],
        "required": provider.auth.required and not provider.local,
        "set": False,
        "url": provider.auth.url,
        "retired": provider.retired,
        "disabled": provider_id in app.config.settings.disabled,
        "needs": [{"name": name, "value": app.config.variable(name) or ""} for name in _needed(app, provider)],
    }
    try:
        if (key := app.config.find_key(names)) is not None:
            name, secret, where = key
            found |= {
                "set": True,
                "variable": name,
                "where": where,
                "mask": mask(secret.get_secret_value()),
                "own": where == ".env in the config folder",
            }
        elif (unfit := app.config.left_open(names)) is not None:
            found["problem"] = unfit
        elif not found["required"]:
            found["set"] = not provider.auth.required and not provider.local
        app.access.base_url(provider_id, provider)
    except ConfigError as exc:
        if found["set"]:
            found["problem"] = str(exc)
    return {name: value for name, value in found.items() if value is not None}


def _places(provider: Provider) -> list[str]:
    """Variables that say where a provider is; keys are none of them."""
    return [*provider.base_url_env, *_PLACE.findall(provider.base_url)]


def _needed(app: App, provider: Provider) -> list[str]:
    return [name for name in dict.fromkeys(_PLACE.findall(provider.base_url)) if name not in provider.variables]


def _values(settings: Settings, *, said: bool = False) -> dict[str, Any]:
    """The part of the settings that the page has; with `said` only what is written there, null for the rest."""
    whole = settings.model_dump(mode="json", exclude_unset=said, include={"default", "budget", "agents"})
    budget, agents = whole.get("budget", {}), whole.get("agents", {})
    return {
        "default": whole.get("default"),
        "prefer": list(settings.prefer),
        "fallbacks": list(settings.fallbacks),
        "tiers": {tier: settings.tiers.get(tier) for tier in get_args(Tier)},
        "contexts": [
            {"name": name, "model": route.model, "local_only": route.local_only, "fallbacks": list(route.fallbacks)}
            for name, route in settings.contexts.items()
        ],
        "budget": {name: _plain(budget.get(name)) for name in MONEY},
        "agents": {name: _plain(agents.get(name)) for name in AGENTS},
    }


def _plain(value: Any) -> Any:
    """Decimals come as text."""
    return float(value) if isinstance(value, str) else value


async def _in_force(app: App) -> str:
    try:
        plan = await app.plan(None, None)
    except Error as exc:
        return str(exc)
    return f"{plan.targets[0].name} ({plan.because})"


async def _names(app: App) -> list[str]:
    """Model names for the fields' suggestions."""
    from mcp_llm.llm.listing import list_models

    with suppress(Error):
        return [row.model for row in (await list_models(app)).models][:400]
    return []


def _home(path: Path) -> str:
    home = path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)
