"""A caller's call of an operation, around its upstream calls: who is asked, the run that is kept of it, its receipt."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict
from uuid import uuid4

import anyio.to_thread

from mcp_llm.errors import Error, InvalidInput, Timeout, UnknownModel
from mcp_llm.settings import Route
from mcp_llm.store.artifacts import LOCAL
from mcp_llm.types.media import File
from mcp_llm.types.result import Tokens, Tried
from mcp_llm.types.text import name

from .answer import Job
from .generate import check_options, positive
from .progress import Progress
from .receipt import NAME_SHOWN, priced
from .routing import Router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pydantic import ValidationError

    from mcp_llm.store.artifacts import Artifact
    from mcp_llm.types.media import Made

    from .ledger import Scope
    from .operation import Called
    from .routing import Plan
    from .service import Service

DEMO: str = "the built-in demo made this, no model: set a provider's key for a real one (`mcp-llm doctor`)"


class Call(TypedDict, total=False):
    """What every operation takes besides its own arguments; the words are those of `generate`."""

    model: str | None
    context: str | None
    budget_usd: float | None
    timeout_s: float | None
    options: dict[str, Any] | None
    """Into the provider's request body as they are."""
    principal: str
    run_id: str
    progress: Progress
    parent_run: str
    """The run that this call is part of, with the budgets that it shares."""
    scopes: tuple[Scope, ...]


@dataclass(slots=True)
class Doing:
    """One call under way."""

    service: Service
    kind: str
    plan: Plan
    job: Job
    options: dict[str, Any]
    progress: Progress
    started_ms: int

    def part(self) -> Job:
        """The job of one of its upstream calls: what is left of its time. Raises Timeout where nothing is."""
        if self.job.timeout_s is None:
            return self.job
        left = self.job.timeout_s - (time.monotonic() - self.progress.started)
        if left <= 0:
            raise Timeout(f"the call was not finished within {self.job.timeout_s:g} s (`timeout_s`)", retry=False)
        return replace(self.job, timeout_s=left)

    def fields(self, calls: Sequence[Called[Any, Any]], *notes: str) -> dict[str, Any]:
        """The fields of `Made` for its upstream calls."""
        return receipt(calls, self.plan.asked, self.job.run_id, *notes)

    async def file(self, data: bytes, mime: str, name: str | None = None) -> File:
        """Keep the bytes as an artifact of the caller's."""
        return await keep(self.service, data, mime, name, self.job.principal)

    def finish(self, made: Made) -> None:
        """Keep the result as the call's run."""
        data = json.dumps(made.lean(), ensure_ascii=False)
        job = self.job
        self.service.runs.kept(
            job.run_id, self.kind, job.principal, self.started_ms, self.plan.asked, data, parent=job.parent_run
        )


async def keep(service: Service, data: bytes, mime: str, name: str | None, principal: str) -> File:
    """Keep the bytes as an artifact; whose machine it is is told where it lies, too."""

    def work() -> tuple[Artifact, str | None]:
        made = service.artifacts.put(data, mime, name=name, principal=principal)
        return made, str(service.artifacts.path(made)) if principal == LOCAL else None

    made, path = await anyio.to_thread.run_sync(work)
    return File(**asdict(made), uri=made.uri, path=path, data=data)


@asynccontextmanager
async def doing(service: Service, kind: str, call: Call) -> AsyncIterator[Doing]:
    """Check what every operation takes and decide who is asked; a failure inside is kept as the run's."""
    options = call.get("options") or {}
    check_options(options)
    positive("timeout_s", call.get("timeout_s"))
    positive("budget_usd", call.get("budget_usd"))
    progress = call.get("progress") or Progress()
    job = Job(
        call.get("run_id") or uuid4().hex,
        call.get("context"),
        operation=kind,
        principal=call.get("principal", "local"),
        budget_usd=call.get("budget_usd"),
        timeout_s=call.get("timeout_s"),
        tell=progress.tell,
        parent_run=call.get("parent_run"),
        scopes=call.get("scopes", ()),
    )
    started = time.time_ns() // 1_000_000
    chosen = await plan(service, kind, call.get("model"), job.context)
    progress.who = chosen.targets[0].name
    try:
        yield Doing(service, kind, chosen, job, options, progress, started)
    except BaseException as exc:
        service.runs.failed(job.run_id, kind, job.principal, started, chosen.asked, exc, parent=job.parent_run)
        raise


def unusable(exc: ValidationError) -> InvalidInput:
    """The first fault of a request, without repeating its value."""
    first = exc.errors(include_url=False, include_input=False)[0]
    return InvalidInput(f"`{'.'.join(str(item) for item in first['loc'])}`: {first['msg']}")


async def plan(service: Service, operation: str, model: str | None, context: str | None) -> Plan:
    """Who will be asked: the model named, else the setting's, else that of the first provider which has one.

    Of a context only `local_only` holds here: its model is one for chat.
    """
    if model is not None and not isinstance(model, str):
        raise InvalidInput(f"`model` is a {type(model).__name__}; it has to be text")
    settings, catalog = service.config.settings, service.catalog
    routes = {name: Route(local_only=route.local_only) for name, route in settings.contexts.items()}
    own = settings.operations.get(operation)  # type: ignore[call-overload]  # a name of ours
    changes = {"contexts": routes, "default": own or "auto", "fallbacks": (), "tiers": {}}
    router = Router(
        settings.model_copy(update=changes),
        lambda name: catalog.find(name, operation),
        lambda provider_id, _: catalog.default(provider_id, operation),
    )
    available = await service.available(operation) if router.needs_available(model, context, None) else ()
    if model is None and own is None and not any(catalog.default(one.provider_id, operation) for one in available):
        able = [name for name, provider in catalog.providers.items() if operation in provider.defaults]
        raise UnknownModel(
            f"no provider that can be asked does {operation}: set the key of one that does ({', '.join(able)}), or "
            "name a model"
        )
    try:
        return router.plan(model, context, None, available)
    except Error:
        if not service.adopt():
            raise
        return router.plan(model, context, None, available)


def receipt(calls: Sequence[Called[Any, Any]], asked: str, run_id: str, *notes: str) -> dict[str, Any]:
    """The fields of `Made` for the upstream calls of one operation."""
    first, last = calls[0], calls[-1]
    usage = first.usage
    for one in calls[1:]:
        usage += one.usage
    said = [words for one in calls for words in one.begun.warnings]
    if last.begun.target.wire == "demo":
        notes = (*notes, DEMO)
    unpriced = next((one.cost.note for one in calls if one.cost.usd is None and one.cost.note), None)
    return {
        "model": asked,
        "model_used": name(last.given.model or last.begun.target.model_id, NAME_SHOWN),
        "provider": last.begun.target.provider_id,
        "usage": Tokens(
            input=usage.input,
            output=usage.output,
            total=usage.total,
            cached=usage.cached,
            reasoning=usage.reasoning,
            images=usage.images,
            seconds=usage.seconds,
            characters=usage.characters,
            estimated=usage.estimated,
        ),
        "cost": priced([one.cost for one in calls]),
        "latency_ms": round((max(one.begun.answered for one in calls) - first.begun.started) * 1000),
        "request_id": name(last.given.id, NAME_SHOWN) if last.given.id else None,
        "run_id": run_id,
        "fallbacks": tuple(
            Tried(provider=one.provider, model=one.model, error=one.kind, message=one.message, status=one.status)
            for call in calls
            for one in call.begun.tried
        ),
        "warnings": tuple(dict.fromkeys([*said, *notes, *([unpriced] if unpriced else [])])),
    }
