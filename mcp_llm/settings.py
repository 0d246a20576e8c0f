"""What can be set: the shape of `mcp_llm.toml`, with defaults that are safe. Reading it is `config.py`'s work."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

Tier: TypeAlias = Literal["pro", "balanced", "lite"]
USD: TypeAlias = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Seconds: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Operation: TypeAlias = Literal["embed", "image", "speech", "transcribe", "video", "realtime"]
Pack: TypeAlias = Literal["core", "media", "ops", "workflow"]


class Table(BaseModel):
    """Frozen; unknown keys are errors. Validators are built when first needed, which most starts never do."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Route(Table):
    """Where a context's calls go. `"anthropic:lite"` is short for `{ model = "anthropic:lite" }`."""

    model: str | None = None
    """A model, alias, tier or `auto`; not set leaves the choice to what comes after contexts."""
    fallbacks: tuple[str, ...] = ()
    """Asked in order when the model fails before its first token, instead of the general list."""
    local_only: bool = False
    """Refuse providers that are not on this machine, or on its own network where the user has moved them there."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"model": value} if isinstance(value, str) else value


class Timeouts(Table):
    """Seconds: `connect` until connected, `first_byte` until it, `idle` between two, `total` for the whole call.

    `data` is for a stream that gives nothing but signs of life.
    """

    connect: Seconds = 10
    first_byte: Seconds = 60
    idle: Seconds = 60
    data: Seconds = 300
    total: Seconds = 600


class Retries(Table):
    """`attempts` is how often one target is tried, `max_wait` the longest wait that is honoured, in seconds."""

    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    max_wait: Seconds = 60


class Budget(Table):
    """Caps: `call_usd` for one call; `day_usd`, `day_calls`, `day_tokens` for a UTC day of all processes; None is none.

    `unknown_usd` is what a call of unknown price is taken to cost at most; None refuses it where dollars are capped.
    A comparison that will probably cost more than `confirm_usd` and names no budget is quoted, not made.
    """

    call_usd: USD | None = None
    day_usd: USD | None = None
    day_calls: PositiveInt | None = None
    day_tokens: PositiveInt | None = None
    unknown_usd: USD | None = None
    confirm_usd: USD | None = Decimal(1)


class Files(Table):
    """Files may be read below `roots` and, with `working_folder`, below the folder that the process was started in.

    Where `serve --http` asks for tokens, only `roots` count: its callers sit at other machines. `max_bytes` is for one
    file, `max_files` for one call.
    """

    roots: tuple[str, ...] = ()
    working_folder: bool = True
    max_bytes: PositiveInt = 20 * 1024 * 1024
    max_files: PositiveInt = 32


class Gguf(Table):
    """Models that run in this process (extra `local`): the file `NAME.gguf` is asked for as `gguf:NAME`.

    `folder` is looked through beside the `models` folder in the data folder. `context` is in tokens, shared by the
    calls of one model, of which `parallel` run at a time; `keep_s` are seconds after which an idle model's memory is
    given back. `gpu_layers` -1 is as many as fit; `threads` None is llama.cpp's own choice. `hub` is where
    `mcp-llm models pull` finds repositories.
    """

    folder: str | None = None
    context: PositiveInt = 8192
    parallel: Annotated[int, Field(ge=1, le=64)] = 4
    threads: PositiveInt | None = None
    gpu_layers: int = -1
    keep_s: Seconds = 600
    hub: str = "https://huggingface.co"


Approval: TypeAlias = Literal["allow", "ask", "deny"]


class SignIn(Table):
    """How to sign in at a remote server: as a person (`mcp-llm servers login NAME`), or as this program, by itself.

    `algorithm` is the one that `private_key` signs with. `grant = "client_credentials"` is the program: with
    `client_secret` or `private_key` (PEM), and the `issuer` they are for, so that no server can have them sent to
    another. Secrets are `${VARIABLE}`s and nothing else.
    """

    grant: Literal["authorization_code", "client_credentials"] = "authorization_code"
    client_id: str | None = None
    """None registers with the authorization server, where that can be done."""
    client_secret: str | None = None
    private_key: str | None = None
    algorithm: str = "ES256"
    issuer: str | None = None
    scopes: tuple[str, ...] = ()
    """Asked for besides those that the server names."""
    client_metadata_url: str | None = None
    """Where a document about this client is published, for servers that take it in the place of a registration."""
    redirect_port: Annotated[int, Field(ge=1024, le=65535)] | None = None
    """The port of the loopback address that was registered with `client_id`; None takes a free one."""

    @model_validator(mode="after")
    def _whole(self) -> SignIn:
        for name in ("client_secret", "private_key"):
            value = getattr(self, name)
            if value is not None and not (value.startswith("${") and value.endswith("}")):
                raise ValueError(f"`{name}` has to be a variable, as ${{NAME}}: secrets do not belong in this file")
        if self.grant == "client_credentials":
            if not self.client_id or not self.issuer or not (self.client_secret or self.private_key):
                raise ValueError("client_credentials needs `client_id`, `issuer`, and `client_secret` or `private_key`")
        elif self.client_secret and not self.client_id:
            raise ValueError("`client_secret` needs its `client_id`")
        return self


class Server(Table):
    """An MCP server that agents may use, by name: `command` with `args` over stdio, or `url` over Streamable HTTP.

    `${VARIABLE}` in `env`, `headers`, `args` and `url` is filled from the environment when the server is opened. A
    child gets only the variables given here and PATH, HOME and their like; never the environment as it is. `cwd` is
    where it runs, `start_timeout_s` how long it may take to come up, `call_timeout_s` a call, `oauth` how to sign in.
    """

    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    oauth: SignIn | None = None
    start_timeout_s: Seconds = 15
    call_timeout_s: Seconds = 120
    allow: tuple[str, ...] | None = None
    """Globs of the tools that are offered; None offers all."""
    deny: tuple[str, ...] = ()
    """Globs of tools that are never offered, whatever `allow` says."""
    approve: dict[str, Approval] = Field(default_factory=dict)
    """Glob of a tool's name -> policy; the longest literal match wins. Unlisted: ask for destructive tools."""
    disabled: bool = False
    """Kept in the file, and never started."""

    @model_validator(mode="after")
    def _one_way(self) -> Server:
        if (self.command is None) == (self.url is None):
            raise ValueError("a server needs either `command` or `url`")
        if self.oauth is not None and self.url is None:
            raise ValueError("`oauth` is for servers with a `url`")
        return self

    @property
    def place(self) -> str:
        """Its URL or the name of its program, without what may be secret in it."""
        if self.url is not None:
            try:
                parts = urlsplit(self.url)
            except ValueError:
                return "a URL that cannot be read"
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        return (self.command or "").replace("\\", "/").rpartition("/")[2]


class Agents(Table):
    """What a run of an agent may use unless its caller says otherwise, and how approvals wait.

    `usd`, `tokens` hold for the run with all its delegates, `runs` counts those too; `turns` and `calls` (tool calls)
    are a run's own, `calls_a_turn` are run of those that one reply asks for, `parallel` of them at a time; `seconds`
    are of the wall clock. `depth` is how many delegates may stand below one another, `children` how many one run may
    have.
    """

    usd: USD = Decimal(2)
    tokens: PositiveInt | None = None
    turns: PositiveInt = 50
    calls: PositiveInt = 500
    calls_a_turn: PositiveInt = 32
    parallel: PositiveInt = 8
    seconds: Seconds = 1800
    depth: NonNegativeInt = 5
    children: NonNegativeInt = 16
    runs: PositiveInt = 64
    unpriced_tokens: PositiveInt = 2_000_000
    """What holds in the place of the default `usd` for a model whose price nobody knows."""
    approval_s: Seconds = 300
    """Seconds a question for approval stays open; then the answer is no."""
    servers: tuple[str, ...] = ("*",)
    """Globs of the servers that an agent gets which names none."""


class Principal(Table):
    """What one principal (a token's name, or `local`) may use. None is no cap.

    `day_usd`, `day_calls` and `day_tokens` are for a UTC day, in all processes together.
    """

    day_usd: USD | None = None
    day_calls: PositiveInt | None = None
    day_tokens: PositiveInt | None = None
    per_minute: PositiveInt | None = None
    """Calls over HTTP in any minute, in each process."""
    at_once: PositiveInt | None = None
    """Calls over HTTP in flight, in each process."""
    sessions: PositiveInt | None = None
    """Sessions of clients older than 2026-07-28, in each process; None is half of the `sessions` of `[http]`."""


SignedBy: TypeAlias = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Public-key signatures only: with a shared secret whoever can check a token can make one."""


class OAuth(Table):
    """The authorization server `issuer`, whose tokens `serve --http` takes; `resource` is our URL as clients call it.

    `algorithms` are the signatures that are taken. Keys are fetched from `jwks_url`, or `key` is the one public key as
    PEM. `audience` is what `aud` has to hold, the resource unless set; `scopes` what a token has to have. An audience
    of your own may be a client's id, which ID tokens have too: then a token has to show by its type, its scopes or its
    client that it is for access.
    """

    issuer: Annotated[str, Field(pattern=r'^https?://[^\s"]+$')]
    resource: Annotated[str, Field(pattern=r'^https?://[^\s"]+$')]
    audience: str | None = None
    jwks_url: Annotated[str | None, Field(pattern=r"^(https://|http://(localhost|127\.0\.0\.1|\[::1\])[:/])\S+$")] = (
        None
    )
    key: str | None = None
    algorithms: Annotated[tuple[SignedBy, ...], Field(min_length=1)] = ("RS256", "ES256", "EdDSA")
    scopes: tuple[Annotated[str, Field(pattern=r"^[!#-\[\]-~]+$")], ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> OAuth:
        if (self.jwks_url is None) == (self.key is None):
            raise ValueError("needs either `jwks_url` or `key`")
        for name in ("issuer", "resource", "jwks_url"):
            try:
                _ = urlsplit(getattr(self, name) or "").port
            except ValueError:
                raise ValueError(f"`{name}` is no URL: write it as https://host/path") from None
        return self


class Http(Table):
    """`serve --http`: `host` and `port` are where it listens, `connections` and `max_body_bytes` what it bears.

    `access_log` writes a line for each request to stderr; `oauth` are the tokens of somebody else that it takes.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    allow_hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._:\[\]-]+$")], ...] = ()
    """Names as a Host header has them, with or without a port; no patterns."""
    allow_origins: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s*]+/?$")], ...] = ()
    """Pages that may call, as an Origin header has them: `https://app.example.com`."""
    max_body_bytes: PositiveInt = 32 * 1024 * 1024
    connections: PositiveInt = 4096
    sessions: PositiveInt = 2000
    """Sessions of clients older than 2026-07-28 that are kept at a time, about 40 KB each."""
    access_log: bool = True
    require_token: bool = False
    """Ask for a token on this machine too; where there are tokens, or there is `oauth`, they are asked for anyway."""
    oauth: OAuth | None = None


class Workflows(Table):
    """What a run of a workflow may use unless its file or its caller says otherwise.

    `usd` for all of it, `seconds` of the wall clock, `parallel` tasks at a time.
    """

    usd: USD = Decimal(2)
    unpriced_tokens: PositiveInt = 2_000_000
    """What holds in the place of the default `usd` for a model whose price nobody knows."""
    parallel: Annotated[int, Field(ge=1, le=256)] = 8
    seconds: Seconds = 3600
    files: PositiveInt = 1000
    """Files of one batch."""


class Python(Table):
    """The step `python/execute` of workflows: off, unless the user's own file says `enabled = true`.

    `boundary` is what the code runs in; `auto` takes bubblewrap, else monty, else refuses. `seconds`, `memory_mb` and
    `output_kb` are the most that a step may use, whatever it asks for.
    """

    enabled: bool = False
    boundary: Literal["auto", "bubblewrap", "monty"] = "auto"
    seconds: Seconds = 60
    memory_mb: Annotated[int, Field(ge=64, le=65_536)] = 512
    output_kb: Annotated[int, Field(ge=1, le=65_536)] = 1024


class Telemetry(Table):
    """OpenTelemetry `spans` are made where a tracer provider is configured; this says whether, and what they hold."""

    spans: bool = True
    content: bool = False
    """Also prompts, answers, tool arguments and results, each cut at 64 KiB."""


class Keep(Table):
    """How long what was made is kept. A server lets go of the rest now and then, `mcp-llm runs prune` at once.

    What is under way stays, with all that it needs to be gone on with, and so does what changed within the hour.
    """

    days: PositiveInt | None = 90
    """Days for which runs (with their events and texts), conversations and artifacts are kept once nothing changes."""
    interrupted_days: PositiveInt | None = 365
    """Days for which a run without an end that nobody drives can still be resumed or answered; never less than `days`.

    None is for ever.
    """
    max_mb: PositiveInt | None = 8192
    """MiB that the state database may use, and as many again the artifacts; then the oldest go sooner."""
    ledger_days: Annotated[int, Field(ge=32)] | None = 400
    """Days for which the token log has its rows. What budgets count does not come from them."""


class Settings(Table):
    """Everything the user can decide, after all layers are joined."""

    default: str = "auto"
    """The model used where nothing else decides: a model, alias, tier or `auto`."""
    prefer: tuple[str, ...] = ()
    """Providers in the order in which `auto` and bare tiers try them; the rest follow in the built-in order."""
    operations: dict[Operation, str] = Field(default_factory=dict)
    """The model that `embed`, `image`, `speech`, `transcribe`, `video` or `realtime` asks where none is named."""
    aliases: dict[str, str] = Field(default_factory=dict)
    """A name of yours -> a model, a tier or another alias."""
    tiers: dict[Tier, str] = Field(default_factory=dict)
    """What a bare tier means, instead of the first configured provider's."""
    contexts: dict[str, Route] = Field(default_factory=dict)
    """Context name or glob (`notes.*`) -> route."""
    fallbacks: tuple[str, ...] = ()
    """Tried in order when the model in force fails before its first token; a route's own list replaces it."""
    timeouts: Timeouts = Field(default_factory=Timeouts)
    retries: Retries = Field(default_factory=Retries)
    budget: Budget = Field(default_factory=Budget)
    files: Files = Field(default_factory=Files)
    providers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Tables laid over the catalog's providers, or whole new ones."""
    prices: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """`"provider:model" = { input = 1.0, output = 2.0 }`, dollars per million tokens; beats every price list."""
    disabled: tuple[str, ...] = ()
    """Providers that are never asked."""
    servers: dict[str, Server] = Field(default_factory=dict)
    """MCP servers for agents, by the name callers use."""
    agents: Agents = Field(default_factory=Agents)
    gguf: Gguf = Field(default_factory=Gguf)
    http: Http = Field(default_factory=Http)
    principals: dict[str, Principal] = Field(default_factory=dict)
    """Who calls -> what they may use; `*` is for everybody without a table of their own."""
    workflows: Workflows = Field(default_factory=Workflows)
    python: Python = Field(default_factory=Python)
    packs: tuple[Pack, ...] = ("core",)
    """Packs of tools that hosts are offered; `core` always is."""
    discover: bool = True
    """Look for model servers on this machine's usual loopback ports."""
    keychain: bool = False
    """Also look keys up in the operating system's keychain (needs the `keyring` package)."""
    max_calls: PositiveInt = 1000
    """Calls in flight in one process; more are answered Busy."""
    ca_file: str | None = None
    """A PEM file of certificate authorities, trusted besides the system's."""
    soft_deadline: Seconds | None = None
    """Seconds after which a call that goes on hands back a run id; None is what is known of the host."""
    ledger: bool = True
    """Write a row for every upstream request."""
    keep: Keep = Field(default_factory=Keep)
    telemetry: Telemetry = Field(default_factory=Telemetry)
