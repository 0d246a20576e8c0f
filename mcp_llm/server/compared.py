"""A comparison as a tool's result: the table and the verdict first, then of every answer as much as fits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import result as results

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from mcp_llm.compare.result import Compared, Result


def shown(compared: Compared, most: int) -> CallToolResult:
    """The table, the verdict and every answer as text; the same as data, with the table in `response`.

    Both have at most about `most` characters: long answers give their first part, and each says where its rest is.
    """
    from mcp_llm.compare import table

    if compared.quoted:
        quote = compared.quote.model_dump(mode="json", exclude_none=True)
        text = "\n".join([compared.response, *(f"[note: {words}]" for words in compared.warnings)])
        return results.plain(text, {"response": compared.response, "quote": quote})
    data = structured(compared, most)
    whole = sum(len(one.response) for one in compared.results)
    links = [results.link(compared.run_id, size=whole)] if whole > most else []
    return results.plain(table.fitted(compared, most), data, *links)


def structured(compared: Compared, most: int) -> dict[str, Any]:
    """The comparison as data: what is unknown or empty is left out, but a cost that is not known says so."""
    from mcp_llm.compare import table

    data = compared.model_dump(mode="json", exclude_none=True, exclude={"results", "models", "quote", "quoted"})
    data = {name: value for name, value in data.items() if value not in ([], {})}
    data["cost"] = {"usd": compared.cost.usd}
    lean = [_lean(one) for one in compared.results]
    room = most - len(json.dumps(data, ensure_ascii=False)) - len(json.dumps(lean, ensure_ascii=False))
    # The line under a cut answer, and what JSON escapes, take their share.
    share = table.share(compared.results, room - 160 * len(lean))
    kept = [row | {"response": table.cut(one, share)} for row, one in zip(lean, compared.results, strict=True)]
    size = len(json.dumps(data, ensure_ascii=False))
    fitting: list[dict[str, Any]] = []
    for row in kept:
        size += len(json.dumps(row, ensure_ascii=False))
        if fitting and size > most:
            data["more"] = f'{len(kept) - len(fitting)} more: runs(action="read", run_id="{compared.run_id}")'
            break
        fitting.append(row)
    return {"response": data.pop("response"), "results": fitting, **data}


def _lean(one: Result) -> dict[str, Any]:
    """A result without its answer."""
    data = one.model_dump(
        mode="json",
        exclude_none=True,
        exclude={
            *("response", "finish_reason_raw", "thinking", "request_id", "first_token_ms", "warnings", "fallbacks"),
            *("search_results", "logprobs"),
        },
    )
    data["usage"] = {name: count for name, count in data["usage"].items() if name in {"input", "output", "estimated"}}
    data["cost"] = {"usd": one.cost.usd, **({"source": one.cost.source} if one.cost.source else {})}
    return data
