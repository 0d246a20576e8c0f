"""Starts the command quickly: imports once, then forks a process for each request with its own streams and variables.

Not a test. Half a second of imports for each of fifty starts is the difference; `cold` in conftest.py starts for real.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, NoReturn

import mcp_llm.app
import mcp_llm.cli.answers
import mcp_llm.cli.commands
import mcp_llm.http.transport
import mcp_llm.llm.generate
import mcp_llm.server.build


def child(request: dict[str, Any]) -> NoReturn:
    code: object = 1
    try:
        for number, mode in enumerate((os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)):
            os.dup2(os.open(request["streams"][number], mode, 0o600), number)
        sys.stdin = os.fdopen(0, "r", encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", closefd=False)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.argv = ["mcp-llm", *request["arguments"]]
        mcp_llm.cli.main()
    except SystemExit as exc:
        code = exc.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


for line in sys.stdin:
    pid = os.fork()
    if not pid:
        child(json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
