"""What the commands of `batch` ask, read from files, folders and stdin: the same options whoever works it off."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from . import running, written
from .ask import EFFORTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_llm.batch.items import Item
    from mcp_llm.config import Config

_SHARED: Final = ("model", "system", "max_tokens", "temperature", "effort", "context", "timeout_s")
ASKED: Final = (
    click.argument("source", required=False, metavar="[FILE|-]"),
    click.option(
        "--dir",
        "folder",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Each file below.",
    ),
    click.option("--pattern", default="*", show_default=True, metavar="GLOB", help="Which files of --dir, by name."),
    click.option("--template", metavar="TEXT|@FILE", help="The prompt, with {{fields}} of the line or the file."),
    click.option("--text", "plain", is_flag=True, help="Each line is a prompt, not JSON."),
    click.option("-m", "--model", help="For items that name none."),
    click.option("-s", "--system", help="The system's words."),
    click.option("--schema", metavar="FILE|JSON", help="Answers as JSON of this JSON Schema."),
    click.option("--max-tokens", type=click.IntRange(1), help="The longest an answer may be."),
    click.option("--temperature", type=float, help="As the vendor defines it; not sent unless given."),
    click.option("--effort", type=click.Choice(EFFORTS), help="How much it should reason."),
    click.option("--context", metavar="NAME", help="Routing context."),
    click.option("--budget-usd", type=click.FloatRange(0), help="The most that all together may cost."),
)
"""What is asked, the same whoever works it off."""


def asking(function: Callable[..., int]) -> Callable[..., int]:
    """A command with the options of `ASKED`."""
    for option in reversed(ASKED):
        function = option(function)
    return function


def read(source: str | None, given: dict[str, Any]) -> tuple[Config, Callable[[], Iterator[Item]], int, dict[str, Any]]:
    """(settings, the items as often as they are wanted, how many, what holds for those that say nothing else)."""
    if (source is None) == (given["folder"] is None):
        raise click.UsageError("give a FILE (or - for stdin), or --dir, and not both")
    config = running.load()
    items = _items(source, given)
    from mcp_llm.batch.items import checked

    total = checked(items())
    if given["folder"] is not None:
        _allow(config, given["folder"])
    defaults = {name: given[name] for name in _SHARED if given.get(name) is not None}
    if (schema := written.schema(given["schema"])) is not None:
        defaults["json_schema"] = schema
    return config, items, total, defaults


def _items(source: str | None, given: dict[str, Any]) -> Callable[[], Iterator[Item]]:
    """The items, as often as they are asked for: once to check them all, once to ask them."""
    from mcp_llm.batch.items import from_folder, from_lines

    template = given["template"]
    if template is not None and template.startswith("@"):
        try:
            template = Path(template[1:]).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as exc:
            raise click.BadParameter(f"the template {template[1:]!r} cannot be read as UTF-8 text") from exc
    if (folder := given["folder"]) is not None:
        return lambda: from_folder(folder, given["pattern"], template)
    assert source is not None
    path = Path(source)
    if source != "-" and not path.exists():
        raise click.BadParameter(f"there is no file {source!r}")
    if source != "-" and path.is_dir():
        raise click.BadParameter(f"{source!r} is a folder; --dir asks once for each of its files")
    if source == "-" or not path.is_file():  # a pipe can be read but once
        lines = (sys.stdin.buffer if source == "-" else path.open("rb")).read().split(b"\n")
        return lambda: from_lines(lines, template, plain=given["plain"])
    return lambda: from_lines(_lines(path), template, plain=given["plain"])


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _allow(config: Config, folder: Path) -> None:
    """Whoever names a folder means it: its files may be attached in this process."""
    settings = config.settings
    roots = (*settings.files.roots, str(folder.resolve()))
    config.settings = settings.model_copy(update={"files": settings.files.model_copy(update={"roots": roots})})
