"""What a batch asks: items read from JSON lines, plain lines or a folder, checked before the first one is asked.

A line is a JSON string (the prompt) or an object with the arguments of `generate`; with a template it is any object,
whose fields fill the template's `{{slots}}`. Every item has an id of its own: the line's `id`, else its number.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput
from mcp_llm.types.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SLOT: Final = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}")
"""As in prompt files."""
MAX_LINE: Final = 32 * 1024 * 1024
ASKS: Final = {"prompt", "messages"}
MAX_ID: Final = 256
ARGUMENTS: Final = frozenset(
    {
        *("prompt", "model", "system", "messages", "context", "files", "json_schema", "temperature", "max_tokens"),
        *("effort", "thinking_budget", "stop", "timeout_s", "budget_usd", "options"),
        *("top_p", "top_k", "seed", "presence_penalty", "frequency_penalty"),
    }
)
"""What a line may say of its own call."""


@dataclass(frozen=True, slots=True)
class Item:
    """One call to make; `number` is its line or its place among the files, from 1."""

    id: str
    number: int
    arguments: dict[str, Any]


def from_lines(lines: Iterable[bytes], template: str | None = None, *, plain: bool = False) -> Iterator[Item]:
    """Items of a file; empty lines are none. Raises InvalidInput naming the line."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            raise InvalidInput(f"line {number} has over {MAX_LINE // 1024 // 1024} MiB: put what is long into a file")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError:
            raise InvalidInput(f"line {number} is not UTF-8") from None
        yield _item(text if plain else _json(text, number), number, template)


def from_folder(folder: Path, pattern: str, template: str | None) -> Iterator[Item]:
    """An item for each file of the folder and those below whose name fits, in the order of their paths.

    The template has `{{content}}`, `{{name}}`, `{{stem}}` and `{{path}}` (within the folder); without one the content
    is the prompt. What is no text is attached instead of `{{content}}`. Links are not followed out of the folder.
    """
    root = folder.resolve()
    paths = [path for path in folder.rglob("*") if fnmatchcase(path.name, pattern) and path.is_file()]
    inside = [path for path in paths if path.resolve().is_relative_to(root)]
    for number, path in enumerate(sorted(inside), 1):
        place = path.relative_to(folder).as_posix()
        arguments: dict[str, Any] = {}
        try:
            content = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            content, arguments["files"] = "", [path.resolve()]
        except OSError as exc:
            raise InvalidInput(f"{place} cannot be read: {type(exc).__name__}") from None
        fields = {"content": content, "name": path.name, "stem": path.stem, "path": place}
        words = _filled(template, fields, number) if template is not None else content
        if not words.strip() and not arguments:
            raise InvalidInput(f"{place} is empty: narrow the pattern or give a template that says something")
        yield Item(place, number, {"prompt": words, **arguments})


def checked(items: Iterable[Item]) -> int:
    """How many there are. Raises InvalidInput where two have one id, or there is none at all."""
    seen: dict[str, int] = {}
    for item in items:
        if (first := seen.setdefault(item.id, item.number)) != item.number:
            raise InvalidInput(f"items {first} and {item.number} have the same id {item.id[:80]!r}")
    if not seen:
        raise InvalidInput("there is nothing to ask: the input holds no items")
    return len(seen)


def _json(text: str, number: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidInput(
            f"line {number} is no JSON ({str(exc)[:80]}); for plain text, where each line is a prompt, say so (--text)"
        ) from None


def _item(value: Any, number: int, template: str | None) -> Item:
    if isinstance(value, str):
        words = value if template is None else _filled(template, {"prompt": value, "content": value}, number)
        return Item(str(number), number, {"prompt": words})
    if not isinstance(value, dict):
        raise InvalidInput(f"line {number} is a JSON {type(value).__name__}; it has to be a string or an object")
    fields = {str(name): one for name, one in value.items()}
    given = fields.get("id", fields.get("custom_id", number))
    if isinstance(given, bool) or not isinstance(given, str | int) or not 0 < len(str(given)) <= MAX_ID:
        raise InvalidInput(f"line {number}: `id` has to be a text of at most {MAX_ID} characters, or a number")
    if template is not None:
        return Item(str(given), number, {"prompt": _filled(template, fields, number)})
    arguments = {name: one for name, one in fields.items() if name not in {"id", "custom_id"}}
    for name in arguments.keys() - ARGUMENTS:
        close = nearest(name, ARGUMENTS)
        hint = f"did you mean `{close[0]}`?" if close else "with a template (--template) fields fill its {{slots}}."
        lacking = "" if ASKS & {*arguments, *close} else "neither `prompt` nor `messages` is there, and "
        raise InvalidInput(f"line {number}: {lacking}there is no argument `{name[:60]}`; {hint}")
    if not arguments.get("prompt") and not arguments.get("messages"):
        raise InvalidInput(f"line {number} has neither `prompt` nor `messages`")
    return Item(str(given), number, arguments)


def _filled(template: str, fields: dict[str, Any], number: int) -> str:
    """The template with its slots filled, once: what a field holds is never a slot itself."""
    missing = sorted({slot[1] for slot in SLOT.finditer(template)} - fields.keys())
    if missing:
        raise InvalidInput(f"item {number} has no {', '.join(missing)}, which the template asks for")

    def words(slot: re.Match[str]) -> str:
        value = fields[slot[1]]
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return SLOT.sub(words, template)
