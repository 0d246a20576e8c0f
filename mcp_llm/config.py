"""Finds and joins settings and keys: defaults < user file < project file < .env < environment < flags.

The only reader of the environment. What lies in the working folder is data: its `mcp_llm.toml` may route and alias, its
`.env` may bring keys, but neither can move a key to another host, name a command or open a folder (CVE-2026-21852).
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr, ValidationError

from mcp_llm import envfile
from mcp_llm.errors import ConfigError
from mcp_llm.redactor import Redactor
from mcp_llm.settings import Settings
from mcp_llm.types.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILE: Final = "mcp_llm.toml"
MAX_PROJECT_FILE: Final = 64 * 1024
MAX_PROJECT_LINE: Final = 2000
"""Dotted keys cost the TOML parser their length squared."""
PROJECT_TABLES: Final = frozenset({"default", "aliases", "tiers", "contexts", "fallbacks", "prefer"})
"""What a project's own file may set: which model answers, nothing that reaches further."""
OURS: Final = re.compile(
    r"MCP_LLM_.+|OLLAMA_HOST|.+_(BASE_URL|ENDPOINT|RESOURCE|REGION)|(.+_)?(HTTPS?|ALL|NO)_PROXY", re.I
)
"""Variables that are read where the user sets them, and ignored where a folder does."""
_NO_KEY: Final = frozenset({"not-set", "none"})
_PLACEHOLDER: Final = re.compile(
    r"(?ix) .*(\.\.\.|…).* | <.*> | \$?\{.*\} | (.*[-_ ])?your[-_ ].* | (.*[-_ ])?your(api)?(key|token)(here)?"
    r"| ([a-z0-9]{1,6}[-_])*(x{3,}|\*{3,}) | (api|secret)?[-_ ]?(key|token)([-_ ]?here)? | to-?do | change[-_ ]?me"
    r"| (replace|insert|paste|add)[-_ ](me|key|api|it|token)([-_ ].*)? | placeholder | not-set | none"
)
_LEFT_OPEN: Final = re.compile(r"\$\{[\w.]+\}")
_KEY_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]*(_API_KEY|_TOKEN|_KEY|_AUTH_TOKEN)(_[A-Z0-9_]+)?")


@dataclass(slots=True)
class Config:
    """The joined settings, where keys are found, and what was wrong on the way."""

    settings: Settings
    home: Path
    folder: Path
    working_folder: Path
    problems: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    _environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    _user_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    _project_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    redactor: Redactor = field(default_factory=Redactor, repr=False)
    """Knows every key that was found; whoever finds another teaches it."""

    def __post_init__(self) -> None:
        self.redactor.learn(self.secrets())

    def key(self, names: Sequence[str]) -> SecretStr | None:
        """The first of these variables that holds a key, from the environment, the two .env files, or the keychain."""
        found = self.find_key(names)
        return found[1] if found else None

    def find_key(self, names: Sequence[str]) -> tuple[str, SecretStr, str] | None:
        """(variable, key, where it was found) or None; a placeholder such as `not-set` is no key."""
        for where, values in (
            ("environment", self._environment),
            (".env in the working folder", self._project_env),
            (".env in the config folder", self._user_env),
        ):
            for name in names:
                value = (values.get(name) or "").strip()
                if value and not placeholder(value):
                    if any(ord(char) < 33 or ord(char) > 126 for char in value):
                        raise ConfigError(f"{name} ({where}) holds white space or characters no key has; set it again")
                    return name, SecretStr(value), where
        return self._keychain(names) if self.settings.keychain else None

    def left_open(self, names: Sequence[str]) -> str | None:
        """What says that one of these variables holds a placeholder instead of a key; None where none does."""
        for values in (self._environment, self._project_env, self._user_env):
            for name in names:
                value = (values.get(name) or "").strip()
                if value and value.lower() not in _NO_KEY and placeholder(value):
                    return f"{name} is a placeholder (`{value[:40]}`)"
        return None

    def variable(self, name: str) -> str | None:
        """A variable that is no key (a base URL, a proxy): from the environment or the user's own .env only."""
        return (self._environment.get(name) or self._user_env.get(name) or "").strip() or None

    def _keychain(self, names: Sequence[str]) -> tuple[str, SecretStr, str] | None:
        from importlib import import_module

        try:
            keyring = import_module("keyring")  # optional, slow to import
            for name in names:
                if value := keyring.get_password("mcp-llm", name):
                    return name, SecretStr(value), "keychain"
        except Exception as exc:  # not installed, locked, without a desktop: its backends raise what they like
            why = f"the keychain cannot be asked ({type(exc).__name__}): see to it that `python -m keyring` works here"
            if (problem := f"{why}, or set `keychain = false`") not in self.problems:
                self.problems.append(problem)
        return None

    @property
    def signed_in(self) -> Path:
        """The folder of what signing in at remote servers gave."""
        return self.home / "oauth"

    def key_names(self) -> list[str]:
        """The variables of this process's own environment that hold a key: what a host passed on, or did not."""
        found = (name for name, value in self._environment.items() if _KEY_NAME.fullmatch(name) and value.strip())
        return sorted(name for name in found if not placeholder(self._environment[name].strip()))

    def secrets(self) -> list[str]:
        """Every value that stands where keys do, for the redactor."""
        layers = (self._environment, self._project_env, self._user_env)
        found = [value for values in layers for name, value in values.items() if _KEY_NAME.fullmatch(name)]
        return [value for value in found if value and not placeholder(value)]


def load(
    *,
    environment: Mapping[str, str] | None = None,
    working_folder: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Read every layer. Raises ConfigError for a broken user file; the project's problems are only noted."""
    env = dict(os.environ if environment is None else environment)
    folder, home = _folders(env)
    problems: list[str] = []
    cwd = working_folder or _working_folder(problems)
    sources: list[str] = []
    layers: list[dict[str, Any]] = []
    if _is_file(user_file := folder / FILE, "the user's config file"):
        layers.append(_read_toml(user_file, "the user's config file"))
        sources.append(f"{FILE} in the config folder")
    project_file, in_folder = cwd / FILE, False
    try:
        in_folder = _is_file(project_file, "the working folder's") and project_file.resolve() != user_file.resolve()
    except ConfigError as exc:
        problems.append(str(exc))
    if in_folder:
        routes = layers[0].get("contexts", {}) if layers else {}
        layers.append(_project(project_file, problems, [name for name, route in routes.items() if _private(route)]))
        sources.append(f"{FILE} in the working folder")
    user_env = envfile.read(folder / ".env", problems, "config folder")
    project_env = {}
    if (cwd / ".env") != (folder / ".env"):
        raw = envfile.read(cwd / ".env", problems, "working folder")
        project_env = {name: value for name, value in raw.items() if _KEY_NAME.fullmatch(name)}
        dropped = sorted(name for name in raw if name not in project_env and OURS.fullmatch(name))
        if dropped:
            problems.append(
                f".env in the working folder sets {', '.join(dropped)}: ignored, since a folder may not move your keys "
                "to another host or say how this works. Set it in the environment or in the config folder's .env."
            )
    layers.append(_from_environment(_filled(user_env) | _filled(env)))
    layers.append(dict(overrides or {}))
    joined: dict[str, Any] = {}
    for layer in layers:
        _join(joined, layer)
    return Config(
        settings=_validate(joined, "settings"),
        home=home,
        folder=folder,
        working_folder=cwd,
        problems=problems,
        sources=sources,
        _environment=env,
        _user_env=user_env,
        _project_env=project_env,
    )


def own(folder: Path) -> Settings:
    """What the user's config file alone says. Raises ConfigError for a broken one."""
    path = folder / FILE
    return _validate(_read_toml(path, "the user's config file") if _is_file(path, path.name) else {}, "settings")


def check(text: str, what: str) -> None:
    """Raise ConfigError, naming place and fix, unless this may stand in a user's config file."""
    try:
        data = tomllib.loads(text)
    except ValueError as exc:
        raise ConfigError(f"{what} would not be valid TOML: {exc}") from None
    _validate(data, what, text)


def placeholder(value: str) -> bool:
    """Whether a value is what samples and manuals have in a key's place: `...`, `sk-...`, `<key>`, `YOUR_KEY`."""
    return _PLACEHOLDER.fullmatch(value) is not None


def folders() -> tuple[Path, Path]:
    """(config folder, state folder) of this process; no file is read for it, so a broken one does not matter."""
    return _folders(dict(os.environ))


def child_environment() -> dict[str, str]:
    """The whole environment, for starting this very program as a child; no other program is given it."""
    return dict(os.environ)


def debugging() -> bool:
    """Whether the user wants tracebacks (`MCP_LLM_DEBUG`)."""
    return os.environ.get("MCP_LLM_DEBUG", "").strip().lower() not in {"", "0", "false", "no", "off"}


def _folders(env: Mapping[str, str]) -> tuple[Path, Path]:
    if (home := env.get("MCP_LLM_HOME", "")).strip():
        try:
            path = Path(home).expanduser()
        except RuntimeError:
            raise ConfigError("MCP_LLM_HOME begins with ~ and a user that is not known; give the whole path") from None
        return path, path
    from platformdirs import PlatformDirs

    dirs = PlatformDirs("mcp_llm", appauthor=False)
    folder = env.get("XDG_CONFIG_HOME") if sys.platform == "linux" else None
    data = env.get("XDG_DATA_HOME") if sys.platform == "linux" else None
    return (
        Path(folder, "mcp_llm") if folder else Path(dirs.user_config_dir),
        Path(data, "mcp_llm") if data else Path(dirs.user_data_dir),
    )


def _working_folder(problems: list[str]) -> Path:
    try:
        return Path.cwd()
    except OSError:
        problems.append("the working folder is gone: no file of it can be read")
        return Path(os.sep)


def _is_file(path: Path, what: str) -> bool:
    try:
        if path.is_dir():
            raise ConfigError(f"{what} ({path.name}) is a folder: put a file in its place, or take it away")
        return path.is_file()
    except OSError as exc:  # its folder is closed to us
        raise ConfigError(f"{what} ({path.name}) cannot be read: {type(exc).__name__}. Open its folder to us.") from exc


def _read_toml(path: Path, what: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = tomllib.loads(text)
    except OSError as exc:
        words = exc.strerror or type(exc).__name__
        raise ConfigError(f"{what} ({path.name}) cannot be read: {words}. Open it to us.") from exc
    except (UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(f"{what} ({path.name}) cannot be read: {type(exc).__name__}. Make it UTF-8 text.") from exc
    except ValueError as exc:  # of a number with too many digits it is no TOMLDecodeError
        raise ConfigError(f"{what} ({path.name}) is not valid TOML: {exc}") from exc
    providers = data.get("providers")
    for provider, table in providers.items() if isinstance(providers, dict) else ():
        if isinstance(table, dict) and {"key", "api_key", "token"} & table.keys():
            raise ConfigError(
                f"{path.name}: [providers.{provider}] holds a key. Keys do not belong in this file: put it in .env or "
                "in the environment and take it out here."
            )
    _validate(data, f"{what} ({path.name})", text)
    return data


def _private(route: object) -> bool:
    return isinstance(route, dict) and route.get("local_only") is True


def _project(path: Path, problems: list[str], private: Sequence[str]) -> dict[str, Any]:
    """What a project's file may say. What the user keeps on this machine (`private` contexts) stays there."""
    try:
        if path.stat().st_size > MAX_PROJECT_FILE:
            raise ConfigError(f"it is over {MAX_PROJECT_FILE // 1024} KiB")
        text = path.read_text(encoding="utf-8-sig")
        if max(map(len, text.split("\n"))) > MAX_PROJECT_LINE:  # as TOML ends them; others end them elsewhere too
            raise ConfigError(f"a line of it has more than {MAX_PROJECT_LINE} characters")
        data = tomllib.loads(text)
        refused = sorted(data.keys() - PROJECT_TABLES)
        data = {name: value for name, value in data.items() if name in PROJECT_TABLES}
        _validate(data, f"the working folder's {path.name}")
    except (OSError, ValueError, RecursionError, ConfigError) as exc:
        problems.append(f"{path.name} in the working folder is ignored: {exc}")
        return {}
    routes = data.get("contexts", {})
    for name, route in list(routes.items()):
        if not _private(route) and any(_routes_away(name, over) for over in private):
            table = {"model": route} if isinstance(route, str) else route
            routes[name] = {**table, "local_only": True}
            problems.append(
                f"{path.name} in the working folder routes {name[:80]!r}, which your own file keeps on this machine: "
                "it stays local_only"
            )
    if refused:
        problems.append(
            f"{path.name} in the working folder sets {', '.join(refused)}: ignored, a folder may only set "
            f"{', '.join(sorted(PROJECT_TABLES))}. Put the rest into the user's config file."
        )
    return data


def _routes_away(name: str, private: str) -> bool:
    """Whether some context fits both patterns and `name` would route it: an exact name, or the closer glob."""
    if "*" in name:
        weights = [(len(pattern) - pattern.count("*"), pattern) for pattern in (name, private)]
        if "*" not in private or weights[0] < weights[1]:
            return False
    left, seen = [(0, 0)], set[tuple[int, int]]()
    while left:
        here = i, j = left.pop()
        if here in seen:
            continue
        seen.add(here)
        one, other = name[i : i + 1], private[j : j + 1]
        if not one and not other:
            return True
        if "*" in (one, other):
            left += [(i + 1, j)] if one else []
            left += [(i, j + 1)] if other else []
        elif one == other:
            left.append((i + 1, j + 1))
    return False


def _validate(data: Mapping[str, Any], what: str, text: str = "") -> Settings:
    if not data:
        return Settings.model_construct()  # all defaults: nothing to check, and no validators to build
    try:
        return Settings.model_validate(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        place = [str(item) for item in first["loc"]]
        name = place[-1] if place else ""
        hint = ""
        if first["type"] == "extra_forbidden":
            close = nearest(name, Settings.model_fields)
            hint = f"; did you mean `{close[0]}`?" if close else ""
        lines = (
            number for number, line in enumerate(text.splitlines(), 1) if re.search(rf"\b{re.escape(name)}\b", line)
        )
        line = next(lines, None)
        where = f", line {line}" if line else ""
        message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise ConfigError(f"{what}{where}: `{'.'.join(place)}`: {message}{hint}") from None


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    """`MCP_LLM_` and MODEL, PACKS, ROOTS, DAY_USD, CALL_USD, SOFT_DEADLINE, DISCOVER. Raises ConfigError naming one."""
    layer: dict[str, Any] = {}

    def put(variable: str, value: dict[str, Any]) -> None:
        _validate(value, variable)
        _join(layer, value)

    if model := env.get("MCP_LLM_MODEL"):
        put("MCP_LLM_MODEL", {"default": model})
    if packs := env.get("MCP_LLM_PACKS"):
        put("MCP_LLM_PACKS", {"packs": [pack.strip() for pack in packs.split(",") if pack.strip()]})
    if roots := env.get("MCP_LLM_ROOTS"):
        put("MCP_LLM_ROOTS", {"files": {"roots": [root for root in roots.split(os.pathsep) if root]}})
    for variable, name in (("MCP_LLM_DAY_USD", "day_usd"), ("MCP_LLM_CALL_USD", "call_usd")):
        if value := env.get(variable):
            put(variable, {"budget": {name: value}})
    if seconds := env.get("MCP_LLM_SOFT_DEADLINE"):
        put("MCP_LLM_SOFT_DEADLINE", {"soft_deadline": seconds})
    if discover := env.get("MCP_LLM_DISCOVER", "").strip().lower():
        layer["discover"] = discover not in {"0", "false", "no", "off"}
    return layer


def _filled(env: Mapping[str, str]) -> dict[str, str]:
    """What is set to something. Blanks set nothing and hide nothing, as an empty key does not.

    A host hands on `${user_config.model}` as it stands where its user left the field empty: that sets nothing either.
    """
    return {name: value for name, value in env.items() if value.strip() and not _LEFT_OPEN.fullmatch(value)}


def _join(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for name, value in layer.items():
        old = into.get(name)
        if isinstance(value, dict):
            into[name] = {**old} if isinstance(old, dict) else {}
            _join(into[name], value)
        else:
            into[name] = value
