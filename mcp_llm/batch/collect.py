"""Results of a vendor's batch -> the same records that `batch run` writes, a ledger row each, one file of them all.

The rows are made here and written with the run's end: a collector that is killed has counted nothing.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import anyio.lowlevel
import anyio.to_thread

from mcp_llm.catalog import price
from mcp_llm.errors import Error, Garbled, ProviderError
from mcp_llm.llm.ledger import Entry
from mcp_llm.llm.receipt import counted, wanted
from mcp_llm.llm.shaping import fitting
from mcp_llm.types.chat import Fold
from mcp_llm.types.message import Origin
from mcp_llm.types.result import Cost, Generated
from mcp_llm.wires import chat, failures
from mcp_llm.wires.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcp_llm.catalog.find import Target
    from mcp_llm.llm.service import Service
    from mcp_llm.runs.journal import Journal
    from mcp_llm.store.artifacts import Artifact
    from mcp_llm.types.chat import ChatResponse
    from mcp_llm.wires.batch.contract import Result

MIME: Final = "application/jsonl"
BILLED: Final = frozenset({"ok", Garbled.kind})
"""Outcomes of calls that were answered, whatever the answer was worth to us."""


async def collected(
    service: Service,
    ids: Sequence[str],
    schema: dict[str, Any] | None,
    results: Mapping[str, Result],
    target: Target,
    share: Decimal,
    journal: Journal,
) -> tuple[dict[str, Any], Cost, list[Entry]]:
    """(the run's result: counts, and the file of records as an artifact; its cost; rows). In the order of the items."""
    records: list[dict[str, Any]] = []
    rows: list[Entry] = []
    total, unpriced, answered = Decimal(0), 0, 0
    for index, name in enumerate(ids):
        await anyio.lowlevel.checkpoint()  # there may be 100,000, and the server has other things to do
        record, usd, row = await _record(service, name, schema, results.get(f"i{index}"), target, share, journal)
        records.append(record)
        rows.append(row)
        if record["status"] == "ok" or "response" in record:
            answered += record["status"] == "ok"
            unpriced += usd is None
            total += usd or 0

    def put() -> Artifact:
        data = b"".join(json.dumps(one, ensure_ascii=False).encode("utf-8", "replace") + b"\n" for one in records)
        name = f"batch-{journal.run_id[:8]}.jsonl"
        return service.artifacts.put(data, MIME, name=name, principal=journal.principal)

    made = await anyio.to_thread.run_sync(put)
    failed = len(ids) - answered
    cost = Cost(usd=None if unpriced else float(total), source="batch" if not unpriced else None)
    words = f"{answered} of {len(ids)} answered" + (f", {failed} failed" if failed else "")
    told = {
        "response": f"{words}; the records are in {made.uri}",
        "items": len(ids),
        "answered": answered,
        "failed": failed,
        "results": {**asdict(made), "uri": made.uri},
    }
    return told, cost, rows


async def _record(
    service: Service,
    name: str,
    schema: dict[str, Any] | None,
    result: Result | None,
    target: Target,
    share: Decimal,
    journal: Journal,
) -> tuple[dict[str, Any], Decimal | None, Entry]:
    now = datetime.now(UTC)
    try:
        if result is None:
            raise ProviderError("the batch has no result for this item", provider=target.provider_id, retry=False)
        response = decoded_reply(result, target)
    except Error as error:
        row = _row(journal, target, error.kind, None, None)
        return {"id": name, "status": "error", "run_id": journal.run_id, "error": _told(error)}, None, row
    quoted = price.quote(target, response.usage, at=now, overrides=service.purse.overrides)
    usd = None if quoted.usd is None else quoted.usd * (1 if quoted.source == "provider" else share)
    row = _row(journal, target, "ok", response, usd)
    parsed: Any = None
    faults: list[str] = []
    if schema is not None:
        parsed, faults, _ = await fitting(response.text, schema)
    made = Generated(
        response=response.text,
        model=target.name,
        model_used=response.model or target.model_id,
        provider=target.provider_id,
        finish_reason=response.stop,
        finish_reason_raw=response.stop_raw,
        thinking=response.message.thinking or None,
        tool_calls=wanted(response),
        parsed=None if faults else parsed,
        usage=counted(response.usage),
        cost=Cost(
            usd=None if usd is None else float(usd),
            source=quoted.source,
            priced_at=quoted.priced_at.isoformat() if quoted.priced_at else None,
        ),
        request_id=response.id,
        run_id=journal.run_id,
    ).model_dump(mode="json", exclude_none=True)
    if faults:
        words = f"it does not fit the schema: {'; '.join(faults[:5])[:1000]}"
        return {"id": name, "status": "error", **made, "error": {"kind": "schema_mismatch", "message": words}}, usd, row
    return {"id": name, "status": "ok", **made}, usd, row


def decoded_reply(result: Result, target: Target) -> ChatResponse:
    """The reply as the target's chat wire reads it. Raises the error that it stands for."""
    body = json.dumps(result.body).encode()
    if result.status is None or result.status >= 400:
        if result.status is None:
            raise failures.from_data(result.body, headers={})
        raise failures.failure(result.status, {}, body, codes=target.provider.error_codes)
    reply, fold = Reply(chat.wire(target.wire), target.quirks), Fold()
    for chunk in [*reply.feed(body), *reply.close()]:
        fold.add(chunk)
    if fold.end is None:
        raise Garbled("the result has no end")
    return fold.response(Origin(provider=target.provider_id, model=target.model_id, wire=target.wire))


def _told(error: Error) -> dict[str, str]:
    return {"kind": error.kind, "message": str(error)[:2000]}


def _row(journal: Journal, target: Target, outcome: str, response: ChatResponse | None, usd: Decimal | None) -> Entry:
    usage = response.usage if response is not None else None
    return Entry(
        ts=time.time_ns() // 1_000_000,
        provider=target.provider_id,
        model=target.name,
        outcome=outcome,
        operation="batch",
        model_used=(response.model if response else None) or target.model_id,
        run_id=journal.run_id,
        principal=journal.principal,
        input=usage.input if usage else None,
        output=usage.output if usage else None,
        cached=usage.cached if usage else None,
        cache_write=usage.cache_write if usage else None,
        reasoning=usage.reasoning if usage else None,
        usd=usd,
        cost_source="batch" if usd is not None else None,
        request_id=response.id if response else None,
    )
