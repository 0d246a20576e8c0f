"""The methods that ask models: each is the same operation as the tool of its name, as part of the workflow's run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import BudgetExceeded
from mcp_llm.llm import conversation
from mcp_llm.llm import generate as generating
from mcp_llm.llm.answer import Job
from mcp_llm.llm.generate import Ask
from mcp_llm.toolsets.protocol import reply

from .method import Done

if TYPE_CHECKING:
    from mcp_llm.compare.result import Compared
    from mcp_llm.llm.ledger import Scope
    from mcp_llm.llm.service import Service
    from mcp_llm.types.result import Generated

    from .method import Call
    from .parameters import Compare, Generate

OPERATION: Final = "workflow"
CHARACTERS: Final = 3
"""Of a token, at least; for looking whether half of the allowance will do."""
_FILES: Final = ("files", "file_path", "image_path")


async def generate(call: Call) -> Done:
    """Ask once."""
    service, ask = call.host.service, _ask(call.parameters, call.principal)
    plan = await service.plan(ask.model, ask.context)

    async def work(scopes: tuple[Scope, ...]) -> Generated:
        job = Job(call.run_id, operation=OPERATION, scopes=scopes)
        return await generating.generate(service, ask, run_id=call.child_id, part_of=job)

    tokens = _characters(call.parameters) // CHARACTERS
    given = await call.allowance.within(service, plan.targets, tokens, open_ended=ask.max_tokens is None, work=work)
    metadata = {"model": given.model_used, "provider": given.provider, "run_id": given.run_id}
    return Done(reply(given), given.usage, given.cost, metadata)


async def estimate(service: Service, parameters: Generate) -> dict[str, Any]:
    """What asking would cost."""
    return await generating.estimate(service, _ask(parameters, "local"))


async def compare(call: Call) -> Done:
    """Ask several."""
    from mcp_llm.compare.asked import Comparison
    from mcp_llm.compare.operation import compare as comparing

    service, given = call.host.service, call.parameters
    targets = [target for model in given.models for target in (await service.plan(model, given.context)).targets[:1]]

    async def work(scopes: tuple[Scope, ...]) -> Compared:
        ask = Comparison(
            **{name: getattr(given, name) for name in type(given).model_fields if name not in _FILES},
            files=_files(given),
            budget_usd=None if scopes[0].usd is None else float(await call.allowance.left(service)),
            principal=call.principal,
        )
        return await comparing(service, ask, run_id=call.child_id, again=call.again, scopes=scopes)

    found = await call.allowance.within(service, targets, 0, open_ended=False, work=work)
    if found.quoted:  # of models whose price nobody knows
        raise BudgetExceeded(f"{found.response} In a workflow that is `budget_usd` of the file.", limit="usd")
    result = found.model_dump(mode="json", exclude_none=True)
    return Done(result, None, found.cost, {"run_id": found.run_id})


def _characters(given: Generate) -> int:
    return len(given.prompt) + len(given.system or "") + sum(len(turn.words) for turn in given.messages)


def _files(given: Generate | Compare) -> list[str]:
    return [one for name in _FILES for one in getattr(given, name)]


def _ask(given: Generate, principal: str) -> Ask:
    system = [turn.words for turn in given.messages if turn.role == "system"]
    turns = conversation.messages([turn.model_dump() for turn in given.messages if turn.role != "system"])
    same = ("prompt", "model", "context", "json_schema", "json_output", "temperature", "max_tokens", "effort")
    more = ("thinking_budget", "stop", "thread", "budget_usd", "timeout_s", "options")
    return Ask(
        **{name: getattr(given, name) for name in (*same, *more)},
        system="\n\n".join([*([given.system] if given.system else []), *system]) or None,
        messages=turns,
        files=_files(given),
        principal=principal,
    )
