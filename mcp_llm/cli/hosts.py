"""What to paste into a host so that it starts this installation: data, by host."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

NAME = "mcp-llm"


def command() -> tuple[str, list[str]]:
    """This installation's server command with absolute paths: hosts have another PATH than a shell."""
    script = Path(sys.executable).with_name("mcp-llm.exe" if sys.platform == "win32" else "mcp-llm")
    return (str(script), ["serve"]) if script.is_file() else (sys.executable, ["-m", "mcp_llm", "serve"])


def snippets(env: dict[str, str]) -> list[dict[str, Any]]:
    """`{host, where, paste}` for the hosts people have; `env` are variables that the server needs to have set."""
    program, arguments = command()
    entry: dict[str, Any] = {"command": program, "args": arguments, **({"env": env} if env else {})}
    flags = [part for name, value in env.items() for part in ("-e", f"{name}={value}")]
    line = shlex.join(["claude", "mcp", "add", NAME, *flags, "--", program, *arguments])  # -e takes all that follows
    usual = json.dumps({"mcpServers": {NAME: entry}}, indent=2, ensure_ascii=False)
    code = json.dumps({"servers": {NAME: {"type": "stdio", **entry}}}, indent=2, ensure_ascii=False)
    return [
        {
            "host": "Claude Desktop, Cursor",
            "where": "claude_desktop_config.json (Settings > Developer), or ~/.cursor/mcp.json",
            "paste": usual,
        },
        {"host": "VS Code", "where": ".vscode/mcp.json", "paste": code},
        {"host": "Claude Code", "where": "a shell", "paste": line},
    ]
