"""`mcp-llm models`: what can be asked, as a table or as JSON, and fetching files for models in the process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from . import running, terminal
from .grouped import Group

if TYPE_CHECKING:
    from mcp_llm.catalog.schema import Kind
    from mcp_llm.files.download import Downloaded
    from mcp_llm.llm.listing import Listing, ModelRow
    from mcp_llm.llm.service import Service

HEADERS: Final = ("", "model", "tier", "context", "$ in", "$ out", "can", "reads")


class Searching(Group):
    """A group in which whatever is no command is what to search for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`gpt` and nothing at all mean `list gpt` and `list`."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


EXAMPLES: Final = """\b
Examples:
  mcp-llm models
  mcp-llm models list claude --all
  mcp-llm models list --for embed
  mcp-llm models pull OWNER/REPOSITORY/FILE.gguf
"""


@click.group(cls=Searching, epilog=EXAMPLES)
def command() -> None:
    """What can be asked; `mcp-llm models WORDS` is `mcp-llm models list WORDS`."""


@command.command("list")
@click.argument("search", required=False)
@click.option("--provider", metavar="NAME", help="Only this provider's, with or without a key.")
@click.option(
    "--for",
    "kind",
    type=click.Choice(["chat", "embed", "image", "speech", "transcribe", "video"]),
    default="chat",
    help="What the model shall do.",
)
@click.option("--live", is_flag=True, help="Also ask the providers for their own lists.")
@click.option("--all", "everything", is_flag=True, help="Also those of providers that lack a key.")
@click.option("--json", "as_json", is_flag=True, help="The list as one JSON object.")
def listed(search: str | None, provider: str | None, kind: Kind, live: bool, everything: bool, as_json: bool) -> int:
    """What can be asked; SEARCH are words that a model's name has to hold. `*` marks the model in force.

    Prices are dollars for a million tokens; `?` is unknown.
    """

    async def work(service: Service) -> Listing:
        from mcp_llm.llm.listing import list_models

        return await list_models(service, provider=provider, search=search, live=live, everything=everything, kind=kind)

    config = running.load()
    try:
        found = running.run(work, config)
    except running.Interrupted as exc:
        return exc.code
    if as_json:
        terminal.dump(found.model_dump(mode="json"))
        return 0
    if found.models:
        terminal.line(terminal.table(HEADERS, [_cells(row, found.default) for row in found.models], right=(3, 4, 5)))
    else:
        terminal.problem("no model fits" + ("" if everything else "; --all also looks at providers without a key"))
    for words in found.problems:
        if words not in config.problems:
            terminal.problem(words)
    terminal.note(f"in force: {found.default or 'none'} ({found.because})")
    if found.missing and not provider:
        terminal.note(f"not configured: {', '.join(found.missing)}; `mcp-llm doctor` says what each needs")
    for name, words in found.missing.items() if provider else ():
        terminal.note(f"{name}: {words}")
    return 0


@command.command("pull")
@click.argument("what", metavar="REPOSITORY/FILE.gguf|URL")
@click.option("--sha256", metavar="HEX", help="Refuse the file if its hash is another.")
@click.option("--as", "name", metavar="NAME", help="The model's name here; else the file's.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def pull(what: str, sha256: str | None, name: str | None, quiet: bool) -> int:
    """Fetch a GGUF file from the hub (or any https URL) into the models folder; then ask `gguf:NAME`.

    What an interrupted fetch has left is gone on with. HF_TOKEN is used where it is set, for the hub alone.
    """
    from pathlib import PurePosixPath
    from urllib.parse import quote, urlsplit

    from mcp_llm.errors import InvalidInput

    config = running.load()
    hub = config.settings.gguf.hub.rstrip("/")
    if "://" in what:
        try:
            url, last = what, PurePosixPath(urlsplit(what).path).name
        except ValueError:
            raise InvalidInput("the URL cannot be read: write it as https://host/path/NAME.gguf") from None
    else:
        owner, _, rest = what.partition("/")
        repository, _, file = rest.partition("/")
        if not file:
            raise click.BadParameter(f"{what!r} is no OWNER/REPOSITORY/FILE.gguf")
        url = f"{hub}/{quote(owner)}/{quote(repository)}/resolve/main/{quote(file)}"
        last = PurePosixPath(file).name
    stem = name or last.removesuffix(".gguf")
    if not last.endswith(".gguf") or not stem or any(char in stem for char in "/\\:\0") or stem.startswith("."):
        raise InvalidInput(f"{last[:80]!r} names no .gguf file: give the whole name of one file of the repository")
    path = config.home / "models" / f"{stem}.gguf"
    bar = _Bytes(shown=not quiet and sys.stderr.isatty())

    async def work(service: Service) -> Downloaded:
        from mcp_llm.files.download import download
        from mcp_llm.store.home import make_folder

        make_folder(config.home)
        make_folder(path.parent)
        token = config.find_key(["HF_TOKEN", "HUGGINGFACE_API_KEY"])
        return await download(
            service.models.transport(),
            url,
            path,
            sha256=sha256,
            trusted=hub,
            token=token[1].get_secret_value() if token else None,
            progress=bar.step,
        )

    try:
        got = running.run(work, config)
    except running.Interrupted as exc:
        terminal.problem("interrupted; the same command goes on where it was")
        return exc.code
    finally:
        bar.close()
    words = "its hash was checked" if got.checked else f"the server names no hash to check it by; it is {got.sha256}"
    terminal.note(f"{got.size:,} bytes; {words}")
    terminal.line(f"gguf:{stem}")
    return 0


class _Bytes:
    """How much has come, on a terminal."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bar: Any = None

    def step(self, done: int, total: int | None) -> None:
        """So far."""
        if not self._shown or not total:
            return
        if self._bar is None:
            self._bar = click.progressbar(length=total, file=sys.stderr, width=0)
        self._bar.update(max(0, done - self._bar.pos))

    def close(self) -> None:
        """Leave the line."""
        if self._bar is not None:
            self._bar.render_finish()


def _cells(row: ModelRow, default: str | None) -> list[str]:
    return [
        "*" if row.model == default else "" if row.configured else "-",
        row.model,
        row.tier or "",
        _tokens(row.context),
        _dollars(row.input_usd, local=row.local) if row.piece_usd is None else f"{row.piece_usd:.4g}/{row.piece}",
        _dollars(row.output_usd, local=row.local) if row.piece_usd is None else "",
        "?" if row.can is None else " ".join(row.can),
        "?" if row.reads is None else " ".join(row.reads),
    ]


def _tokens(count: int | None) -> str:
    if count is None:
        return "?"
    return f"{count / 1_000_000:.3g}M" if count >= 1_000_000 else f"{count / 1000:.3g}k"


def _dollars(usd: float | None, *, local: bool) -> str:
    return "free" if local else "?" if usd is None else f"{usd:.6g}"
