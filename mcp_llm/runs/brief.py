"""What a line in a list needs of a run, as SQL: long requests and results stay in the database, their first words come.

A home has thousands of runs, some with megabytes of results, and lists are looked at again and again.
"""

from __future__ import annotations

from typing import Final

LONG: Final = 8000
"""Characters of JSON up to which it is taken as it is."""
_WORDS: Final = 400


def _text(column: str, *names: str) -> str:
    return ", ".join(f"'{name}', substr(json_extract({column}, '$.{name}'), 1, {_WORDS})" for name in names)


def _brief(column: str, fields: str) -> str:
    return (
        f"CASE WHEN {column} IS NULL OR length({column}) <= {LONG} THEN {column} "
        f"WHEN json_valid({column}) THEN json_object({fields}) ELSE '{{}}' END"
    )


_REQUEST: Final = (
    f"{_text('request', 'prompt', 'agent', 'persona')}, "
    f"'prompts', json_array(substr(json_extract(request, '$.prompts[0]'), 1, {_WORDS})), "
    f"'arguments', json_object('prompt', substr(json_extract(request, '$.arguments.prompt'), 1, {_WORDS})), "
    "'workflow', json_object('name', json_extract(request, '$.workflow.name'))"
)
_RESULT: Final = (
    f"{_text('result', 'response', 'error', 'partial', 'model', 'model_used', 'provider')}, "
    "'latency_ms', json_extract(result, '$.latency_ms'), "
    "'cost', json_object('usd', json_extract(result, '$.cost.usd'))"
)
BRIEF: Final = (
    "id, kind, principal, status, created, updated, model, "
    f"{_brief('request', _REQUEST)}, {_brief('result', _RESULT)}, parent, attempts"
)
