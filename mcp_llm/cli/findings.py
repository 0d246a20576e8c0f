"""What a doctor finds: sentences by topic, each problem with how to mend it. Looks, changes nothing, asks nobody."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Literal

from mcp_llm import __version__
from mcp_llm.errors import ConfigError, Error
from mcp_llm.llm.access import mask

from .masks import masked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mcp_llm.app import App
    from mcp_llm.catalog.schema import Provider
    from mcp_llm.config import Config
    from mcp_llm.llm.health import ProviderHealth
    from mcp_llm.llm.service import Service

PACKAGES: Final = ("mcp", "pydantic", "anyio", "httpx2", "click", "genai-prices")
WAY: Final = "put NAME=... into .env in the config folder, or into the environment of the host that starts the server"
MOST_CHECKED: Final = 256 * 1024 * 1024
"""Bytes of a state database whose pages are looked through."""
PROXIES: Final = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix` says how to mend it; None where there is nothing to mend."""

    topic: str
    level: Literal["ok", "note", "problem"]
    text: str
    fix: str | None = None

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def versions() -> dict[str, str]:
    """This program, Python, the system, and the packages that matter."""
    found = {"mcp-llm": __version__, "python": platform.python_version(), "system": platform.system()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def settings(config: Config) -> Iterator[Finding]:
    """The files that were read, and what was wrong with them."""
    for source in config.sources:
        yield Finding("settings", "ok", f"read: {source}")
    for where, folder in (("config", config.folder), ("working", config.working_folder)):
        if (folder / ".env").is_file() and (where == "config" or folder != config.folder):
            yield Finding("settings", "ok", f"read: .env in the {where} folder")
    if not config.sources:
        yield Finding("settings", "ok", "no config file; the defaults hold (`mcp-llm config init` begins one)")
    for name in PROXIES:
        if value := config.variable(name):
            yield Finding("settings", "note", f"{name} is set: {masked(value)}")
    for words in config.problems:
        yield Finding("settings", "problem", words, "change it where the sentence says")


async def state(service: Service) -> list[Finding]:
    """Whether what is kept is kept on disk."""
    store = service.runs.store
    try:
        await store.start()
    except Error as exc:
        return [Finding("state", "problem", str(exc), "make the folder writable or set MCP_LLM_HOME")]
    if store.durable:
        found = [Finding("state", "ok", "the state folder can be written"), *_notes(service)]
        return [*found, *await _damage(service), *_set_aside(service.config.home)]
    return _notes(service) or [Finding("state", "problem", "state is kept in memory only", "set MCP_LLM_HOME")]


def _notes(service: Service) -> list[Finding]:
    return [Finding("state", "problem", words, "do what the sentence says") for words in service.runs.store.notes]


async def _damage(service: Service) -> list[Finding]:
    """What SQLite finds wrong with the database's pages, where looking takes no long time."""
    path, fix = service.config.home / "state.db", "move state.db away; `sqlite3 state.db .recover` reads what is left"
    try:
        if path.stat().st_size > MOST_CHECKED:
            return []
        rows = await service.runs.store.query("PRAGMA quick_check(1)")
    except (Error, OSError) as exc:
        return [Finding("state", "problem", str(exc), fix)]
    wrong = " ".join(str(rows[0][0]).split()) if rows else "ok"
    return [] if wrong == "ok" else [Finding("state", "problem", f"the state database is damaged: {wrong[:200]}", fix)]


def _set_aside(home: Path) -> Iterator[Finding]:
    """Databases that were found corrupt, by this process or an earlier one."""
    for path in sorted(home.glob("state.db.corrupt-*")):
        if not path.name.endswith(("-wal", "-shm")):
            words = f"a state database was found corrupt and set aside as {path.name}"
            fix = f"`sqlite3 {path.name} .recover` may read what is left of it; delete it when you need it no more"
            yield Finding("state", "note", words, fix)


def keys(service: Service, *, most: int | None = None) -> Iterator[Finding]:
    """Per provider: the key that was found and where, what moved its address; the first `most` that lack one."""
    lacking: list[tuple[int, str, str]] = []
    known = len(service.config.problems)
    for provider_id, provider in service.catalog.providers.items():
        if provider_id == "demo":
            continue
        variables = service.access.variables(provider_id, provider)
        try:
            found = service.config.find_key(variables)
        except ConfigError as exc:
            yield Finding("keys", "problem", str(exc), f"set {variables[0]} again, without spaces or quotes")
            continue
        yield from _address(service, provider_id, provider, keyed=found is not None)
        if found is not None:
            name, secret, where = found
            words = f"{provider_id}: {name} from {where} ({mask(secret.get_secret_value())})"
            if provider_id in service.config.settings.disabled:
                yield Finding("keys", "note", f"{words}; disabled in the settings", "take it out of `disabled`")
            elif provider.retired:
                yield Finding("keys", "note", f"{words}; {provider.retired}")
            else:
                yield Finding("keys", "ok", words)
        elif (unfit := service.config.left_open(variables)) is not None:
            url = f"; keys are made at {provider.auth.url}" if provider.auth.url else ""
            yield Finding("keys", "problem", f"{provider_id}: {unfit}", f"put a key in its place, or take it out{url}")
        elif provider.auth.required and not provider.local and not provider.retired:
            lacking.append((provider.rank, provider_id, variables[0]))
    for words in service.config.problems[known:]:  # of the keychain, which is asked no sooner
        yield Finding("keys", "problem", words, "change it where the sentence says")
    lacking.sort()
    told = [f"{provider_id}: {variable} is not set" for _, provider_id, variable in lacking[:most]]
    if more := len(lacking) - len(told):
        told.append(f"{more} more providers have no key: `mcp-llm doctor --all` lists them")
    for words in told:
        yield Finding("keys", "note", words, WAY if words == told[-1] else None)


def _address(service: Service, provider_id: str, provider: Provider, *, keyed: bool) -> Iterator[Finding]:
    moved = _mover(service, provider_id, provider)
    try:
        url = service.access.base_url(provider_id, provider)
    except ConfigError as exc:
        if keyed or moved:
            yield Finding("keys", "problem", f"{provider_id}: {exc}", "set the variable it names")
        return
    if moved is not None:
        yield Finding("keys", "note", f"{provider_id}: its address is {masked(url)}, from {moved}")


def _mover(service: Service, provider_id: str, provider: Provider) -> str | None:
    """What gives it another address than its file does; None where nothing does."""
    own = f"{provider_id.upper().replace('-', '_')}_BASE_URL"
    moved = next((name for name in (own, *provider.base_url_env) if service.config.variable(name)), None)
    if moved is None and "base_url" in service.config.settings.providers.get(provider_id, {}):
        moved = "the settings"
    return moved


async def local(service: Service) -> list[Finding]:
    """The model servers that answer on this machine."""
    if not service.config.settings.discover:
        return [Finding("local", "note", "not looked for: `discover` is off")]
    found = await service.local.found()
    return [
        Finding("local", "ok", f"{one.provider_id}: answers; {next(iter(one.models.values()), 'no model')} is there")
        for one in found
    ] or [Finding("local", "ok", "no model server answers on the usual ports")]


async def force(service: Service) -> list[Finding]:
    """The model that answers when nobody names one, and why."""
    fix = "set a key above, start a local server, or name a model with MCP_LLM_MODEL"
    try:
        plan = await service.plan(None, None)
    except Error as exc:
        return [Finding("model", "problem", str(exc), fix)]
    target = plan.targets[0]
    words = f"in force: {target.name} (`{plan.asked}`, {plan.because})"
    if target.provider_id == "demo":
        return [Finding("model", "note", f"{words}: the built-in demo, no language model", fix)]
    try:
        if not service.access.has_key(target.provider_id, target.provider):
            variable = service.access.variables(target.provider_id, target.provider)[0]
            return [Finding("model", "problem", f"{words}, but its key is not set", f"set {variable}")]
    except ConfigError as exc:
        return [Finding("model", "problem", f"{words}: {exc}", "mend the key")]
    after = f"; then {', '.join(one.name for one in plan.targets[1:])}" if plan.targets[1:] else ""
    return [Finding("model", "ok", words + after)]


def files(service: Service) -> Iterator[Finding]:
    """Provider files and prompts that were left out."""
    prompts = service.prompts.all()
    for words in service.prompts.problems:
        yield Finding("prompts", "problem", words, "mend the file or take it away")
    yield Finding("prompts", "ok", f"{len(prompts)}: {', '.join(prompts)}")


async def workflows(service: Service) -> list[Finding]:
    """Files that are broken, and, where Python steps are on, whether a boundary for them holds."""
    found: list[Finding] = []
    folder = service.config.folder / "workflows"
    if folder.is_dir():
        from mcp_llm.workflow.folder import listed

        for name, one in listed(folder):
            if one is None:
                fix = f"`mcp-llm workflow check {name}` says what"
                found.append(Finding("workflows", "problem", f"workflows/{name} is broken", fix))
    if service.config.settings.python.enabled:
        from mcp_llm.workflow.boundaries import FIX, Boundaries

        try:
            boundary = await Boundaries(service.config.settings.python).get()
            found.append(Finding("workflows", "ok", f"Python steps run in {boundary.name}, which was tried and holds"))
        except Error as exc:
            found.append(Finding("workflows", "problem", str(exc).partition(" To mend it:")[0], FIX))
    return found


def tools(config: Config) -> Finding:
    """What the tool list costs the model that reads it."""
    from mcp_llm.server.build import definitions

    listed = definitions(config)
    tokens = len(json.dumps(listed, ensure_ascii=False)) // 4
    names = ", ".join(str(one["name"]) for one in listed)
    return Finding("tools", "ok", f"{len(listed)} ({names}), about {tokens:,} tokens of definitions")


async def servers(app: App) -> list[Finding]:
    """The MCP servers that agents use, as they were last seen; none is started."""
    from .servers import seen

    found = []
    for one in await seen(app, ()):
        words = f"{one.name}: {one.state}"
        if one.off:
            what = "what changed" if one.changed else "what they say"
            fix = f"`mcp-llm servers check {one.name}` shows {what}, `mcp-llm servers approve {one.name}` agrees"
            found.append(Finding("servers", "problem", words, fix))
        else:
            found.append(Finding("servers", "ok", words))
    return found


def checked(service: Service, found: list[ProviderHealth]) -> Iterator[Finding]:
    """What the providers said when they were asked."""
    for one in found:
        if one.available:
            count = "" if one.models_available is None else f", {one.models_available} models"
            words = _proved(service, one.provider_id)
            yield Finding("check", "ok", f"{one.provider_id}: {words[0]} ({one.latency_ms} ms{count}){words[1]}")
        elif one.available is None:
            yield Finding("check", "note", f"{one.provider_id}: cannot be checked for free; {one.detail or ''}")
        else:
            yield Finding("check", "problem", f"{one.provider_id}: {one.detail or 'fails'}", "mend the key or address")


def _proved(service: Service, provider_id: str) -> tuple[str, str]:
    """What a model list that came says of the key."""
    provider = service.catalog.provider(provider_id)
    if service.config.find_key(service.access.variables(provider_id, provider)) is None:
        return "answers", ""
    moved = {name for name, _, _ in service.catalog.moved()} | set(service.catalog.own_ids)
    if provider_id in moved or provider.local or _mover(service, provider_id, provider):
        return "answers", "; the key was not tested, servers like this often list models without looking at it"
    if provider.open_list:
        return "answers", "; the key was not tested, this provider lists models without looking at it"
    return "the key works", ""
