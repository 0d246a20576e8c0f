"""What a provider's TOML file may say. Unknown keys are errors; the file name without `.toml` is the provider's id.

Facts about a model are layered, later wins: every `[[rules]]` entry whose globs match its id, in file order (those of
`rules_from` first), then its own `[models.<id>]` table. Lists are replaced, tables are joined key by key. Quirks are
layered the same way over `[quirks.<operation>]`; those stated for another wire than the model's own do not count.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, model_validator

from mcp_llm.types.chat import Effort

Capability: TypeAlias = Literal["streaming", "tools", "json", "reasoning", "batch", "search"]
"""What a model can do besides text: call tools, obey a JSON Schema, reason, be batched, search the web by itself."""

Modality: TypeAlias = Literal["image", "pdf", "audio", "video"]
Kind: TypeAlias = Literal["chat", "embed", "image", "speech", "transcribe", "video", "realtime"]
"""What a model is for: the operation that asks it."""
Tier: TypeAlias = Literal["pro", "balanced", "lite"]
Parameter: TypeAlias = Literal[
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "stop",
    "max_tokens",
    "effort",
    "thinking_budget",
    "json_schema",
    "json_output",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "system",
]
"""The request's fields that a model may be declared to refuse."""

Seconds: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
USD: TypeAlias = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Names: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]
"""Strings; a single one needs no brackets."""


UNITS: Final = ("image", "second", "hour", "characters")
"""What is paid by the piece."""


class Strict(BaseModel):
    """Frozen; unknown keys refused. Built when first used, since a start that asks nobody needs none of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Rates(Strict):
    """Dollars per million tokens, or per piece. A kind of input without a rate of its own costs what plain input costs.

    A price has `input` and `output`, or a unit: `image` dollars each, `second` or `hour` of sound or film, `characters`
    dollars per million that are spoken.
    """

    input: USD | None = None
    output: USD | None = None
    cached: USD | None = None
    cache_write: USD | None = None
    above: PositiveInt | None = None
    """Input tokens above which the whole request costs `input_above` and so on."""
    input_above: USD | None = None
    output_above: USD | None = None
    cached_above: USD | None = None
    input_audio: USD | None = None
    input_image: USD | None = None
    output_audio: USD | None = None
    output_image: USD | None = None
    output_video: USD | None = None
    image: USD | None = None
    second: USD | None = None
    hour: USD | None = None
    characters: USD | None = None

    @model_validator(mode="after")
    def _priced(self) -> Rates:
        if all(getattr(self, name) is None for name in UNITS):
            for name in ("input", "output"):
                if getattr(self, name) is None:
                    raise ValueError(f"`{name}` is missing")
        return self


class Price(Rates):
    """A dated price, only where genai-prices has none; `expires` lets it fall away by itself."""

    source: str
    checked: date
    expires: date | None = None


class Facts(Strict):
    """What is known of a model; None is unknown. `can` and `reads` replace, they do not add."""

    context: PositiveInt | None = None
    output: PositiveInt | None = None
    can: tuple[Capability, ...] | None = None
    reads: tuple[Modality, ...] | None = None
    refuses: tuple[Parameter, ...] | None = None
    """Parameters that are dropped with a warning before the call."""
    efforts: tuple[Effort, ...] | None = None
    """Values of `effort` it takes; another one is moved to the nearest, with a warning."""
    sampling_needs_effort_none: bool | None = None
    """Sampling values are refused unless reasoning is off (OpenAI since GPT-5)."""
    default_effort: Effort | None = None
    picture_tokens: PositiveInt | None = None
    """The most input tokens that one picture is counted as, where that is more than 10,000."""
    least_seconds: PositiveInt | None = None
    """What a shorter recording is billed as."""
    forced_tools: bool | None = None
    """False: a forced tool choice is a 400; it is asked for in words and sent as `auto`."""
    sampling: dict[str, tuple[float, float]] | None = None
    """Ranges, e.g. `temperature = [0, 2]`; a value outside is refused before the call."""
    defaults: dict[str, Any] | None = None
    """Request fields used where the caller said nothing, e.g. `max_tokens = 8192`."""
    extra: dict[str, Any] | None = None
    """Merged into the provider's request body, under the caller's own `options`."""
    wire: str | None = None
    """Another wire than the provider's, of the model's kind."""
    base_url: str | None = None
    """Another place than the provider's, with the same placeholders (a second wire often lives under another path)."""
    quirks: dict[str, Any] | None = None
    """Fields of the wire's `Quirks`; `"null"` stands for None, which TOML cannot say."""
    remote: bool | None = None
    """Runs elsewhere although its provider is local: neither free nor private."""
    retires: date | None = None
    retired: str | None = None
    """Why it cannot be asked any more, and what to use instead."""


class Rule(Facts):
    """Facts for every model id that one of the globs matches (`*` only, case kept)."""

    match: tuple[str, ...]


class Model(Facts):
    """One model of a provider."""

    name: str | None = None
    aliases: tuple[str, ...] = ()
    price: Price | None = None
    price_later: Price | None = None
    """An announced change: the price from the day after `price.expires`."""
    price_ref: str | None = None
    """The id under which genai-prices knows it, where that differs."""
    kind: Kind = "chat"


class Auth(Strict):
    """How the key travels. `env` are the variables it is read from, in order; `{key}` stands for it in `headers`."""

    env: Names = ()
    headers: dict[str, str] = Field(default_factory=dict)
    headers_of: dict[str, dict[str, str]] = Field(default_factory=dict)
    """One of the variables -> the headers that its key travels in, where they are others than `headers`."""
    required: bool = True
    url: str | None = None
    """Where a person makes a key."""


class Limits(Strict):
    """What we keep to by ourselves; None is no limit known."""

    concurrency: PositiveInt | None = None
    requests_per_minute: PositiveInt | None = None
    tokens_per_minute: PositiveInt | None = None


class Timeouts(Strict):
    """Seconds; each overrides the setting of the same name."""

    connect: Seconds | None = None
    first_byte: Seconds | None = None
    idle: Seconds | None = None
    data: Seconds | None = None
    total: Seconds | None = None


class Provider(Strict):
    """One provider: who it is, where it lives, which wires it speaks, and what is known of its models."""

    name: str
    rank: int = 50
    """Place in the order in which `auto` and bare tiers try the providers that have a key; small ones come first."""
    names: tuple[str, ...] = ()
    """Other spellings of the provider's id that are understood (`gemini:` for `google:`)."""
    base_url: str
    """May hold `{VARIABLE}` placeholders, filled from the environment or from `variables`."""
    insecure: bool = False
    """Plain `http://` to another machine is meant: keys and prompts may be read on the way."""
    base_url_env: Names = ()
    base_urls: dict[str, str] = Field(default_factory=dict)
    """Operation -> another base URL than `base_url`, with the same placeholders."""
    variables: dict[str, str] = Field(default_factory=dict)
    """Defaults of the placeholders in `base_url`."""
    auth: Auth = Auth()
    headers: dict[str, str] = Field(default_factory=dict)
    wires: dict[str, str]
    """Operation -> wire: `chat = "openai"`, `models = "openai"`, `tokens = "anthropic"`."""
    quirks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    local: bool = False
    """Runs on the user's machine: calls cost nothing, context data stay here. At a public address it is so only where a
    user's own file says it."""
    discover: tuple[str, ...] = ()
    """Loopback base URLs where a running server is looked for when no key is set."""
    prefixes: tuple[str, ...] = ()
    """Beginnings of bare model ids that belong here (`claude-`)."""
    open: bool = False
    """What it serves is not ours to know (a router, deployments, a local server): no warning for an unknown id."""
    open_list: bool = False
    """Its model list is given to anybody: that it answers says nothing about the key."""
    retired: str | None = None
    """Why it cannot be asked any more, and what to use instead."""
    prices: str | None = None
    """The provider's id in genai-prices; None: it is not there."""
    telemetry: str | None = None
    """Its name in OpenTelemetry's conventions (`gen_ai.provider.name`), where that is not its id."""
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    error_codes: dict[str, str] = Field(default_factory=dict)
    """The provider's own code -> an error kind of `wires/failures.py`."""
    tiers: dict[Tier, str] = Field(default_factory=dict)
    defaults: dict[Kind, str] = Field(default_factory=dict)
    """Operation -> the model that it is given where none is named: `embed = "text-embedding-3-small"`."""
    aliases: dict[str, str] = Field(default_factory=dict)
    rules_from: Names = ()
    """Other providers whose `[[rules]]` hold here too (the same families under other ids)."""
    rules: tuple[Rule, ...] = ()
    models: dict[str, Model] = Field(default_factory=dict)
