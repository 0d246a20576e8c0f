"""Takes secrets out of what leaves this machine: the keys that are known here, and whatever has the look of one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcp_llm.redactor import MASK
from mcp_llm.toolsets.variables import secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.config import Config

_KEYS: Final = re.compile(
    r"(?i:bearer\s+)[A-Za-z0-9._~+/=-]{16,}"
    r"|\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|\b(?:gsk|xai|hf|r8|nvapi|pplx|csk|fw|mcpllm)[-_][A-Za-z0-9_-]{20,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\bxox[abeprs]-[A-Za-z0-9-]{10,}|\bA(?:KIA|SIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)",
    re.DOTALL,
)
"""What is a key by its look: bearer tokens, the vendors' beginnings, JWTs, private keys, a login in a URL."""


def redactor(config: Config) -> Callable[[str], str]:
    """Puts `***` in the place of every key of this machine, sent or not, and of whatever looks like one."""
    for server in config.settings.servers.values():
        config.redactor.learn(secrets(server, config.variable))
    return lambda text: _KEYS.sub(MASK, config.redactor(text))
