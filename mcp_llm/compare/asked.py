"""What a caller wants compared, checked before anything is asked or paid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Error, InvalidInput
from mcp_llm.llm.parameters import EFFORTS
from mcp_llm.schemas.usable import check_schema
from mcp_llm.types.message import Media, Text
from mcp_llm.types.text import unbroken

from . import expect as expecting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.llm.routing import Plan
    from mcp_llm.llm.service import Service
    from mcp_llm.types.chat import Effort
    from mcp_llm.types.message import Part

    from .expect import Expectation

MODELS: Final = (2, 16)
MAX_PROMPTS: Final = 500
MAX_SAMPLES: Final = 50
MAX_CALLS: Final = 4000
"""Calls of one comparison, judges' included; more is a benchmark, which wants a plan of its own."""
KEPT: Final = 4000
"""Characters of each prompt that are kept with the result."""


@dataclass(slots=True)
class Comparison:
    """What to compare; None is: not said. Names are those of the `compare_models` tool.

    Either `prompt` or `prompts`; each is text or a list of text and parts. `judge` is True (judges are chosen), a
    model, or several. `expect` is one expectation or a list with one for each prompt. `timeout_s` bounds each call.
    """

    prompt: str | Sequence[str | Part] | None = None
    models: Sequence[str] = ()
    prompts: Sequence[str | Sequence[str | Part]] = ()
    system: str | None = None
    files: Sequence[Any] = ()
    json_schema: dict[str, Any] | None = None
    samples: int = 1
    expect: Any = None
    judge: bool | str | Sequence[str] = False
    rubric: str | None = None
    budget_usd: float | None = None
    context: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    effort: Effort | None = None
    timeout_s: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    principal: str = "local"


@dataclass(slots=True)
class Contender:
    """A model by the name it was asked by: who will be asked, or why nobody can be."""

    name: str
    plan: Plan | None = None
    error: Error | None = None


@dataclass(slots=True)
class Question:
    """One prompt with the files; `text` is what judges read of it, `media` what they see."""

    said: list[Part]
    expected: Expectation | None = None

    @property
    def text(self) -> str:
        """All that was said in words."""
        return "\n\n".join(part.text for part in self.said if isinstance(part, Text))

    @property
    def media(self) -> list[Part]:
        """Pictures, pages and sounds."""
        return [part for part in self.said if isinstance(part, Media)]


def check(ask: Comparison) -> None:
    """Raise InvalidInput for what can be no comparison."""
    for place, words in (("system", ask.system), ("rubric", ask.rubric), *(("models", one) for one in ask.models)):
        if words is not None and not isinstance(words, str):
            raise InvalidInput(f"`{place}` has to be text, not {type(words).__name__}")
    least, most = MODELS
    if isinstance(ask.models, str) or not least <= len(ask.models) <= most:
        count = 1 if isinstance(ask.models, str) else len(ask.models)
        raise InvalidInput(f"`models` names {count}; a comparison takes {least} to {most}")
    if twice := next((name for index, name in enumerate(ask.models) if name in ask.models[:index]), None):
        raise InvalidInput(f"`models` names {twice!r} twice; to ask a model more than once use `samples`")
    if ask.prompt and ask.prompts:
        raise InvalidInput("give either `prompt` or `prompts`, not both")
    if isinstance(ask.prompts, str) or len(ask.prompts) > MAX_PROMPTS:
        raise InvalidInput(f"`prompts` has to be a list of at most {MAX_PROMPTS} prompts")
    samples: object = ask.samples  # Python's callers may give anything
    if not isinstance(samples, int) or not 1 <= samples <= MAX_SAMPLES:
        raise InvalidInput(f"`samples` is {ask.samples}; it has to be 1 to {MAX_SAMPLES}")
    if ask.json_schema is not None:
        check_schema(ask.json_schema)
    if ask.effort is not None and ask.effort not in EFFORTS:
        raise InvalidInput(f"`effort` is {str(ask.effort)[:40]!r}; it is one of {', '.join(EFFORTS)}")
    judges = ask.judge if isinstance(ask.judge, list | tuple) else []
    if not isinstance(ask.judge, bool | str | list | tuple) or not all(isinstance(one, str) for one in judges):
        raise InvalidInput("`judge` has to be true, a model, or a list of models")
    for name, value, low in (
        ("max_tokens", ask.max_tokens, 1),
        ("budget_usd", ask.budget_usd, 0),
        ("timeout_s", ask.timeout_s, 0.001),
    ):
        if value is not None and not low <= value < float("inf"):
            raise InvalidInput(f"`{name}` is {value}; it has to be a number of at least {low}")


async def questions(service: Service, ask: Comparison) -> tuple[list[Question], list[str]]:
    """The prompts with the files, which are read once, and what was skipped. Raises InvalidInput for an empty one."""
    given = list(ask.prompts) or [ask.prompt or ""]
    wanted = expecting.expectations(ask.expect, len(given))
    attached, warnings = await service.attachments(ask.files, principal=ask.principal)
    found: list[Question] = []
    for index, (prompt, expected) in enumerate(zip(given, wanted, strict=True)):
        pieces = [prompt] if isinstance(prompt, str) else list(prompt)
        said: list[Part] = [Text(unbroken(piece)) if isinstance(piece, str) else piece for piece in pieces]
        if not all(isinstance(part, Text | Media) for part in said):
            raise InvalidInput("a prompt has to be text, or a list of text and parts")
        said = [part for part in said if not isinstance(part, Text) or part.text.strip()]
        if not said:
            which = f"prompts[{index}]" if ask.prompts else "prompt"
            raise InvalidInput(f"`{which}` is empty: say what the models should do")
        found.append(Question([*said, *attached], expected))
    return found, warnings


async def contenders(service: Service, ask: Comparison, needs: frozenset[str]) -> tuple[list[Contender], list[str]]:
    """Who is asked for each name. Nobody stands in for a model that fails: the answer would not be its own."""
    found: list[Contender] = []
    warnings: list[str] = []
    names: dict[str, str] = {}
    for name in ask.models:
        try:
            plan = await service.plan(name, ask.context, needs)
        except Error as exc:
            found.append(Contender(name, error=exc))
            continue
        plan.targets = plan.targets[:1]
        found.append(Contender(name, plan))
        target = plan.targets[0].name
        if (other := names.setdefault(target, name)) != name:
            warnings.append(f"{other!r} and {name!r} are the same model, {target}: any difference is chance")
    return found, warnings


def needs(asked: Sequence[Question]) -> frozenset[str]:
    """What the models have to be able to read."""
    return frozenset(part.modality for one in asked for part in one.media if isinstance(part, Media))
