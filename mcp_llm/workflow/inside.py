"""What runs inside the boundary: reads code and inputs as JSON from stdin, limits itself, runs, writes the result.

Started as `python -I -S -B -c <this file> <descriptor>`; uses the standard library only. By the time the code runs
nothing of this file is in its way: limits cannot be raised again, and what is written to the descriptor is not trusted.
"""

import ast
import json
import os
import sys
import traceback
from typing import Any


def limit(given: dict[str, Any]) -> None:
    """Bounds that hold until the end of the process."""
    if sys.platform == "win32":
        raise OSError("there are no limits here")
    import resource

    memory, seconds = int(given["memory"]), int(given["seconds"])
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds + 1),
        (resource.RLIMIT_FSIZE, int(given["disk"])),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, 64),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def run(code: str, names: dict[str, Any]) -> Any:
    """What the code leaves in `result`, else the value of its last expression."""
    tree = ast.parse(code, "step.py")
    value = None
    if tree.body and isinstance(last := tree.body[-1], ast.Expr):
        del tree.body[-1]
        exec(compile(tree, "step.py", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "step.py", "eval"), names)
    else:
        exec(compile(tree, "step.py", "exec"), names)
    return names.get("result", value)


def main() -> None:
    """Once. The exit code is that of the code, 1 where it raised."""
    given = json.loads(sys.stdin.buffer.read())
    out = int(sys.argv[1])
    sys.stdin = open(os.devnull) if os.path.exists(os.devnull) else sys.stdin  # noqa: SIM115 - open to the end
    sys.argv = ["step.py"]
    limit(given)
    names = {"__name__": "__main__", "inputs": given["inputs"], **given["inputs"]}
    code = 0
    told: dict[str, Any] = {}
    try:
        told["result"] = run(given["code"], names)
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 0 if exc.code is None else 1
        told["result"] = names.get("result")
    except BaseException as exc:
        names.clear()  # what it holds may be all the memory there is
        code = 1
        stack = [frame for frame in traceback.extract_tb(exc.__traceback__) if frame.filename == "step.py"]
        lines = [*traceback.format_list(stack), *traceback.format_exception_only(exc)]
        sys.stderr.write("".join(lines))
        told["error"] = "".join(traceback.format_exception_only(exc)).strip()[-2000:]
        told["line"] = stack[-1].lineno if stack else getattr(exc, "lineno", None)
    try:
        text = json.dumps(told, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        code = code or 1
        text = json.dumps({"error": f"`result` is nothing that JSON can say: {str(exc)[:300]}"})
    sys.stdout.flush()
    sys.stderr.flush()
    data = text.encode()
    while data:
        data = data[os.write(out, data) :]
    os._exit(code & 255)


main()
