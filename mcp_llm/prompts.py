"""Prompts as files: Markdown with TOML front matter between `+++` lines, read from the package and the user's folder.

The front matter declares `title`, `description`, `arguments`, and where calls made with it go: `context` and `tier` (or
`model`); an agent's also `kind = "agent"`, its servers, tools, budget and delegates.
The body holds `{{name}}` or `{{name|default}}`, filled in one pass: what is filled in is never read again.
"""

from __future__ import annotations

import re
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from mcp_llm.errors import InvalidInput
from mcp_llm.settings import Table, Tier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

State: TypeAlias = tuple[tuple[str, int, int], ...]
_SLOT: Final = re.compile(r"\{\{([a-z_][a-z0-9_]*)(?:\|([^{}]*))?\}\}")
MAX_FILE: Final = 256 * 1024


class Argument(Table):
    """One argument of a prompt; values are text."""

    name: str
    description: str = ""
    required: bool = False


class Allowance(Table):
    """What a run of an agent may use, as `[agents]` in the settings; None is: not said."""

    usd: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    tokens: PositiveInt | None = None
    calls: PositiveInt | None = None
    turns: PositiveInt | None = None
    seconds: PositiveFloat | None = None
    depth: NonNegativeInt | None = None
    children: NonNegativeInt | None = None


class Front(Table):
    """What a prompt file may declare.

    Of an agent: `servers` are names from the settings, `tools` globs of tools, `delegates` names of other agents.
    """

    title: str
    description: str = ""
    kind: Literal["prompt", "agent"] = "prompt"
    context: str | None = None
    tier: Tier | None = None
    model: str | None = None
    arguments: tuple[Argument, ...] = ()
    servers: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    delegates: tuple[str, ...] = ()
    budget: Allowance = Field(default_factory=Allowance)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt by name: its declaration and its body."""

    name: str
    front: Front
    body: str

    def render(self, values: Mapping[str, str]) -> str:
        """The body with its slots filled. Raises InvalidInput naming what is missing or unknown."""
        known = {argument.name for argument in self.front.arguments}
        if unknown := sorted(values.keys() - known):
            raise InvalidInput(
                f"prompt {self.name!r} has no argument {', '.join(unknown)}; "
                f"it takes {', '.join(sorted(known)) or 'none'}"
            )
        missing = [one.name for one in self.front.arguments if one.required and not values.get(one.name)]
        if missing:
            raise InvalidInput(f"prompt {self.name!r} needs {', '.join(missing)}")
        return _SLOT.sub(lambda slot: values.get(slot[1]) or slot[2] or "", self.body)


@dataclass(slots=True)
class Prompts:
    """Reads the folders when something is asked for and they have changed; a file that cannot be read is a problem."""

    folders: Sequence[Path]
    problems: list[str] = field(default_factory=list)
    _found: dict[str, Prompt] = field(default_factory=dict)
    _state: State | None = None

    def all(self) -> dict[str, Prompt]:
        """Prompts by name; a later folder's file replaces an earlier one's."""
        if (now := self.state()) != self._state:
            self._state, self._found = now, {}
            self.problems.clear()
            for path in (Path(place) for place, _, _ in now):
                try:
                    self._found[path.stem] = read(path)
                except InvalidInput as exc:
                    self.problems.append(f"prompt {path.name}: {exc}")
        return self._found

    def agents(self) -> dict[str, Prompt]:
        """Those that are agents."""
        return {name: prompt for name, prompt in self.all().items() if prompt.front.kind == "agent"}

    def state(self) -> State:
        """What differs once a file has been added, changed or removed: (path, modified, bytes) of each, in order."""
        return tuple(one for folder in (package_folder(), *self.folders) for one in _files(folder))

    def declared(self, context: str | None) -> str | None:
        """The model or tier that the prompt owning this context declares."""
        if not context:
            return None
        for prompt in self.all().values():
            if prompt.front.context == context:
                return prompt.front.model or prompt.front.tier
        return None


def _files(folder: Path) -> State:
    found = []
    for path in sorted(folder.glob("*.md")) if folder.is_dir() else ():
        try:
            status = path.stat()
        except OSError:  # gone this moment, or a link to nowhere
            continue
        if stat.S_ISREG(status.st_mode):  # a pipe would be waited for
            found.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(found)


def package_folder() -> Path:
    """The prompts that come with the package: inside the wheel, or beside the package in a checkout."""
    inside = Path(__file__).parent / "prompts_data"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "prompts"


def read(path: Path) -> Prompt:
    """Parse one file. Raises InvalidInput saying what is wrong with it, but not where it lies."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise InvalidInput(f"over {MAX_FILE // 1024} KiB")
        text = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except OSError as exc:
        raise InvalidInput(f"it cannot be read ({exc.strerror or type(exc).__name__})") from exc
    except UnicodeDecodeError as exc:
        raise InvalidInput("it is not UTF-8: save it as that") from exc
    if not text.startswith("+++\n") or (end := text.find("\n+++\n", 3)) < 0:
        raise InvalidInput("it has to begin with TOML front matter between two lines of +++")
    try:
        data: dict[str, Any] = tomllib.loads(text[4 : end + 1])
        front = Front.model_validate(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise InvalidInput(f"front matter: {'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
    except (ValueError, RecursionError) as exc:  # of a number with too many digits it is no TOMLDecodeError
        raise InvalidInput(f"front matter is not valid TOML: {exc}") from exc
    return Prompt(path.stem, front, text[end + 5 :].strip() + "\n")
