"""One provider's files: the package's text and what the user lays over it, read no sooner than somebody asks.

Answers the cheap questions (which ids, aliases, prefixes) from the text alone. Refuses to guess: a file that does not
fit `schema.py` is an error that names file, line and fix.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import ConfigError
from mcp_llm.types.nearest import nearest

from . import address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.resources.abc import Traversable

    from .schema import Provider

CODE_WIRES: Final = frozenset({"demo", "code"})
"""Wires of providers that are code: they have no module, no quirks and no bytes."""

OPERATIONS: Final = ("embed", "image", "transcribe", "speech")
"""What an endpoint in OpenAI's dialect may also do, under the paths that OpenAI has for it."""

COMPATIBLE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "max_tokens_field": "max_tokens",
        "null_content": False,
        "parallel_tool_calls": False,
        "strict": "omit",
        "json_schema": "json_object",
        "think_tags": True,
    }
)
"""Quirks of an endpoint of which only the URL is known: the least that every imitation of the dialect takes."""

_MODEL: Final = re.compile(r'models\.(?:"([^"]+)"|([\w-]+))')
_STRING: Final = re.compile(r'"([^"]+)"')
_ALIAS: Final = re.compile(r'"?([^"=]+?)"?\s*=\s*"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Index:
    """What is needed to find the provider of a bare model id."""

    names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layer:
    """A user's table over a provider. `text` is empty where it did not come from a file of its own."""

    origin: str
    data: Mapping[str, Any]
    text: str = ""


@dataclass
class Source:
    """A provider that is known by id; its TOML is parsed when `provider` or `index` is first needed."""

    id: str
    file: Traversable | None = None
    layers: tuple[Layer, ...] = ()
    variable: Callable[[str], str | None] = lambda _: None
    """Reads a variable, which may move the provider elsewhere."""

    @cached_property
    def text(self) -> str:
        """The package's own TOML; empty for a provider of the user's."""
        return self.file.read_text(encoding="utf-8") if self.file is not None else ""

    @cached_property
    def provider(self) -> Provider:
        """The checked provider. Raises ConfigError naming the file that is wrong."""
        return self.build(self.layers)

    @cached_property
    def index(self) -> Index:
        """From the text where it is the package's, from the provider where the user had a hand in it."""
        if not self.layers:
            return scan(self.text)
        provider = self.provider
        return Index(
            names=provider.names,
            prefixes=provider.prefixes,
            models=tuple(provider.models),
            aliases={
                **{alias: name for name, model in provider.models.items() for alias in model.aliases},
                **provider.aliases,
            },
        )

    def build(self, layers: tuple[Layer, ...]) -> Provider:
        """The provider under these layers."""
        from pydantic import ValidationError

        from .schema import Provider

        data: dict[str, Any] = tomllib.loads(self.text) if self.file is not None else {}
        for layer in layers:
            data = overlay(data, _shorthand(layer.data))
        if self.file is None:
            data = _complete(self.id, data)
        origin = layers[-1].origin if layers else f"{self.id}.toml"
        text = layers[-1].text if layers else self.text
        try:
            provider = Provider.model_validate(data)
        except ValidationError as exc:
            raise ConfigError(_explain(exc, origin, text)) from None
        if wrong := _wrong(provider):
            raise ConfigError(f"{origin}{place(text, wrong[0])}: {wrong[1]}")
        own = any(layer.data.get("local") is True for layer in layers)
        if provider.local and not own and not address.is_near(self.id, provider, self.variable):
            return provider.model_copy(update={"local": False})  # what is free and private is the machine, not the name
        return provider


def scan(text: str) -> Index:
    """The index of a package file by its lines alone, a fiftieth of the time of parsing it.

    Relies on the files' own form: one header or key a line, lists of strings on one line (a test compares).
    """
    table = model = ""
    lists: dict[str, tuple[str, ...]] = {}
    models: list[str] = []
    aliases: dict[str, str] = {}
    own: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("["):
            table, model = line.strip("[]"), ""
            if found := _MODEL.fullmatch(table):
                model = found[1] or found[2]
                models.append(model)
        elif table == "aliases" and (found := _ALIAS.match(line)):
            own[found[1]] = found[2]
        elif line.startswith(("names", "prefixes")) and not table:
            lists[line.partition("=")[0].strip()] = tuple(_STRING.findall(line))
        elif model and line.startswith("aliases"):
            aliases.update(dict.fromkeys(_STRING.findall(line), model))
    return Index(lists.get("names", ()), lists.get("prefixes", ()), tuple(models), {**aliases, **own})


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are joined, values replaced; `rules` are added behind, where they have the last word."""
    joined = dict(below)
    for name, value in above.items():
        old = joined.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            joined[name] = overlay(old, value)
        elif name == "rules" and isinstance(old, list) and isinstance(value, list):
            joined[name] = [*old, *value]
        else:
            joined[name] = value
    return joined


def _shorthand(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """`env = "X_KEY"` at the top of a user's file stands for `auth.env`."""
    if "env" not in data or not isinstance(data.get("auth", {}), dict):
        return data
    rest = {name: value for name, value in data.items() if name != "env"}
    return {**rest, "auth": {"env": data["env"], **data.get("auth", {})}}


def _complete(provider_id: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A provider of the user's, filled up: `base_url` alone is enough for an OpenAI-compatible endpoint."""
    data = dict(data)
    data.setdefault("name", provider_id)
    given = data.get("wires")
    chat = given.get("chat", "openai") if isinstance(given, dict) else "openai"
    if given is None or isinstance(given, dict):
        rest = dict.fromkeys(("models", *OPERATIONS), "openai") if chat == "openai" else {}
        data["wires"] = {"chat": chat, **rest, **(given or {})}
    auth = data.get("auth", {})
    if isinstance(auth, dict):
        url = data.get("base_url")
        local = isinstance(url, str) and (url.startswith(address.IN_CODE) or address.on_loopback(url))
        data["auth"] = {
            "env": address.variable_of(provider_id, "API_KEY"),
            "headers": {"Authorization": "Bearer {key}"},
            "required": not local,
            **auth,
        }
    quirks = data.get("quirks", {})
    if chat == "openai" and isinstance(quirks, dict) and isinstance(quirks.get("chat", {}), dict):
        data["quirks"] = {**quirks, "chat": {**COMPATIBLE, **quirks.get("chat", {})}}
    return {"open": True, "open_list": True, **data}


def _wrong(provider: Provider) -> tuple[tuple[str, ...], str] | None:
    """What the types cannot say: (where, what)."""
    from mcp_llm.wires import chat, failures

    if wrong := address.problem(provider.base_url, insecure=provider.insecure):
        return ("base_url",), f"base_url {wrong}"
    for url in provider.base_urls.values():
        if wrong := address.problem(url, insecure=provider.insecure):
            return ("base_urls",), f"base URL {wrong}"
    for facts in (*provider.rules, *provider.models.values()):
        if facts.base_url is not None and (wrong := address.problem(facts.base_url, insecure=provider.insecure)):
            return ("base_url",), f"base_url {wrong}"
        if facts.wire is not None and getattr(facts, "kind", "chat") == "chat" and facts.wire not in chat.WIRES:
            return ("wire",), f"wire {facts.wire!r} does not exist; chat wires are {', '.join(chat.WIRES)}"
    name = provider.wires.get("chat")
    if name is not None and name not in chat.WIRES and name not in CODE_WIRES:
        return ("wires", "chat"), f"chat wire {name!r} does not exist; there are {', '.join(chat.WIRES)}"
    for code, kind in provider.error_codes.items():
        if kind not in failures.KINDS:
            return ("error_codes", code), f"{kind!r} is no error kind; use one of {', '.join(sorted(failures.KINDS))}"
    return None


def _explain(exc: Any, origin: str, text: str) -> str:
    """The first fault of a validation, with its place in the file and, for an unknown key, the nearest known one."""
    from . import schema

    first = exc.errors(include_url=False, include_input=False)[0]
    path = tuple(str(item) for item in first["loc"])
    message = first["msg"]
    if first["type"] == "extra_forbidden":
        known = {name for cls in (schema.Provider, schema.Rule, schema.Model, schema.Auth) for name in cls.model_fields}
        close = nearest(path[-1], sorted(known))
        message = "unknown key" + (f", did you mean `{close[0]}`?" if close else "; take it out")
    elif first["type"] == "missing":
        message = "is missing"
    return f"{origin}{place(text, path)}: `{'.'.join(path)}`: {message}"


def place(text: str, path: tuple[str, ...]) -> str:
    """`, line 3, column 1` of the line that sets this path or comes nearest to it; empty where none does."""
    best, where = 0, ""
    table: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("["):
            name = bare.split("#")[0].strip().strip("[]").strip()
            table = _keys(name)
            if bare.startswith("[["):
                table = (*table, str(counts.get(name, 0)))
                counts[name] = counts.get(name, 0) + 1
            here = table
        else:
            here = (*table, *_keys(bare.partition("=")[0].strip())) if "=" in bare and not bare.startswith("#") else ()
        if len(here) > best and here == path[: len(here)]:
            best, where = len(here), f", line {number}, column {len(line) - len(line.lstrip()) + 1}"
    return where


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|([^\s."]+)', dotted))
