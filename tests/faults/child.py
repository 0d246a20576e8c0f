"""An MCP server that misbehaves, one way per mode: `child.py MODE [ARGUMENT]` on stdio, `child.py http MODE` on HTTP.

Nothing but the standard library, so that it starts fast and can say what no SDK would.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as pytest has it, for a script of its own

from faults.child_http import Http, Quiet
from faults.child_words import INITIALIZE, MIB, OBJECT, ODD, hello, nested, text, tools


class Stdio:
    def __init__(self, mode: str, argument: str) -> None:
        self.mode, self.argument = mode, argument
        self.calls = self.lists = 0

    def send(self, message: dict[str, Any], **options: Any) -> None:
        line = json.dumps({"jsonrpc": "2.0", **message}, **options).encode()
        self.raw(line.replace(b'"DEEP"', json.dumps(nested(450)).encode()) + b"\n")

    def raw(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def run(self) -> None:
        self.begin()
        for line in sys.stdin.buffer:
            message = json.loads(line)
            method, number = message.get("method"), message.get("id")
            if method == "initialize":
                self.send({"id": number, "result": hello(message) | ODD.get(self.mode, {})})
                self.greeted()
            elif method == "tools/list":
                self.lists += 1
                if self.mode == "stumbles" and self.lists == 2:
                    self.mode = "later"
                    self.send({"id": number, "error": {"code": -32603, "message": "not now"}})
                    continue
                cursor = (message.get("params") or {}).get("cursor")
                self.send({"id": number, "result": tools(self.mode, self.argument, cursor)})
                if self.mode in {"late", "stumbles"} and self.lists == 1:
                    self.mode = "later" if self.mode == "late" else self.mode
                    self.send({"method": "notifications/tools/list_changed"})
            elif method == "tools/call":
                self.calls += 1
                self.call(number, message["params"])
            elif number is not None and method is not None:
                self.send({"id": number, "error": {"code": -32601, "message": "Method not found"}})
        self.end()

    def begin(self) -> None:
        mode = self.mode
        if mode == "exit":
            sys.stderr.write("".join(f"line {n}\n" for n in range(100)) + "no \x1b[31mdatabase\n")
            sys.exit(7)
        if mode in {"ignoreeof", "hanginit"}:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
        if mode == "hanginit" or (mode == "hang-again" and os.path.getsize(self.argument)):
            time.sleep(600)
        if mode in {"family", "stray"}:
            # A child of its own that holds the pipes and does not care about their ends.
            code = "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
            subprocess.Popen([sys.executable, "-c", code, __file__])
        if mode == "garbage":
            self.raw(b"INFO starting up, please wait\n" * 90_000)
        if mode == "stderrflood":
            threading.Thread(target=self.shout, daemon=True).start()
        if mode == "endless-start":
            self.raw(b"x" * (200 * MIB))

    def shout(self) -> None:
        for _ in range(1600):
            os.write(2, (b"\x1b[31mnoise " + b"n" * 53 + b"\n") * 1024)
        os.write(2, b"the last \x1b[31mword\n")

    def greeted(self) -> None:
        if self.mode in {"notifflood", "listflood"}:
            self.raw(b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n' * 100_000)
        if self.mode == "crash-after-hello":
            os._exit(9)

    def end(self) -> None:
        while self.mode == "ignoreeof":
            time.sleep(1)

    def call(self, number: Any, params: dict[str, Any]) -> None:
        mode, argument = self.mode, self.argument
        answer = {"id": number, "result": text(f"worked {self.calls}")}
        if mode == "badutf8":
            self.raw(b"caf\xe9 \xff\xfe\n")
            line = json.dumps({"jsonrpc": "2.0", "id": number, "result": text("caf~")}).encode()
            self.raw(line.replace(b"~", b"\xe9") + b"\n")
        elif mode == "endless":
            self.raw(b'{"jsonrpc":"2.0","x":"' + b"x" * (200 * MIB))
        elif mode == "huge":
            self.send({"id": number, "result": text("0123456789abcdef" * (int(argument) // 16))})
        elif mode == "values":
            self.raw(b'{"jsonrpc":"2.0","id":%d,"result":{"content":[],"x":[%s1]}}\n' % (number, b"[]," * 5_000_000))
        elif mode in {"schema-redos", "schema-anyof", "schema-selfref"}:
            poison = {"a": "a" * 40 + "!"} if mode != "schema-anyof" else {"a": 5}
            self.send({"id": number, "result": {**text("done"), "structuredContent": poison}})
        elif mode == "crash":
            os.write(2, b"about to crash\n")
            os._exit(3)
        elif mode == "hang-again":
            with open(argument, "w", encoding="utf-8") as marks:
                marks.write("called")
            os._exit(3)
        elif mode == "crash-once":
            with open(argument, "a+", encoding="utf-8") as marks:
                marks.seek(0)
                before = marks.read()
                marks.write(f"{params['name']}\n")
            if not before:
                os._exit(3)
            self.send(answer)
        elif mode == "hang":
            time.sleep(600)
        elif mode == "slowdrip":
            for letter in json.dumps({"jsonrpc": "2.0", **answer}):
                self.raw(letter.encode())
                time.sleep(0.4)
        elif mode == "wrongid":
            for wrong in (999, "abc", None, True, [1], {"a": 1}, 1.5, -1):
                self.send({"id": wrong, "result": text("not for you")})
            self.send({"id": str(number), "result": text("right")})
            self.send({"id": number, "result": text("twice")})
        elif mode == "says":
            with open(argument, encoding="utf-8") as file:
                self.send({"id": number, "result": text(file.read())})
        elif mode == "listflood":
            self.send({"id": number, "result": text(str(self.lists))})
        elif mode == "shifty":
            # What it said at its start holds no more.
            self.mode = "unlisted"
            for method in ("tools/list_changed", "resources/list_changed", "prompts/list_changed", "initialized"):
                self.send({"method": f"notifications/{method}", "params": {"capabilities": {"sampling": {}}}})
            self.send({"id": "again", "method": "initialize", "params": hello(INITIALIZE)})
            self.send(answer)
        elif mode == "wants-input":
            question = {"method": "elicitation/create", "params": {"message": "Your key?", "requestedSchema": OBJECT}}
            wants = {"resultType": "input_required", "inputRequests": {"a": question}, "requestState": "s" * 1000}
            self.send({"id": number, "result": wants})
        elif mode == "wants-task":
            task = {"taskId": "t", "status": "working", "ttl": None, "pollInterval": 1, "createdAt": "now"}
            self.send({"id": number, "result": {"resultType": "task", "task": task, **task}})
        elif mode == "cancelflood":
            for given in ({"requestId": 99999}, {"requestId": "x"}, {"requestId": None}, {}, {"requestId": [1]}):
                self.send({"method": "notifications/cancelled", "params": given})
            self.raw(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}\n' * 50_000)
            self.raw(b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"no"}}\n' * 50_000)
            self.raw(b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"x","data":1}}\n' * 50_000)
            self.raw(b'{"jsonrpc":"2.0","method":"notifications/odd/\\u001b[2J","params":[1]}\n' * 50_000)
            self.send(answer)
        elif mode in {"long-string", "open-string"}:
            # Nested so deep that the line is looked through for where to cut it.
            poured = "\\n" * (7 * MIB) + '"' if mode == "long-string" else '\\"' * (7 * MIB)
            start = f'{{"jsonrpc":"2.0","id":{number},"result":{{"content":[],"x":{"[" * 150}{"]" * 150},"y":"'
            self.raw(start.encode() + poured.encode() + (b"}}\n" if mode == "long-string" else b"\n"))
        elif mode == "surrogates":
            odd = (
                '{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"a\\ud800b"}],"structuredContent":'
            )
            self.raw((odd % number).encode() + b'{"n":NaN,"big":1e999,"k":1,"k":2}}}\n')
        elif mode == "progressflood":
            token = params["_meta"]["progressToken"]
            note = {"progressToken": token, "progress": 1, "message": "still \x1b[2Jthere"}
            line = json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": note}).encode() + b"\n"
            self.raw(line * 100_000)
            self.send(answer)
        elif mode == "asks":
            for method in ("sampling/createMessage", "roots/list", "elicitation/create", "ping", "odd/method"):
                self.send({"id": f"q-{method}", "method": method, "params": {}})
            replies = [json.loads(sys.stdin.buffer.readline()) for _ in range(5)]
            said = {r["id"]: r.get("result", r.get("error", {}).get("code")) for r in replies}
            self.send({"id": number, "result": text(json.dumps(said, sort_keys=True))})
        elif mode == "askflood":
            ask = (
                b'{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}\n'
            )
            self.raw(ask * 100_000)
            self.send(answer)
        elif mode == "noresult":
            self.send({"id": number})
        elif mode == "badresult":
            self.send({"id": number, "result": {"content": "a string"}})
        elif mode == "error":
            self.send(
                {"id": number, "error": {"code": -32000, "message": "no\x1b[31m way\U000e0041", "data": {"a": 1}}}
            )
        elif mode == "blanks":
            poured = "A" + " " * (MIB // 16) + "!"
            block = {"type": "image", "mimeType": "image/png", "data": poured}
            self.send({"id": number, "result": {"content": [block]}})
        elif mode == "blocks":
            many = [{"type": "text", "text": "x"}] * 50_000
            self.send({"id": number, "result": {"content": many}})
        elif mode == "environment":
            self.send({"id": number, "result": text(json.dumps(dict(os.environ)))})
        elif mode == "pids":
            self.send({"id": number, "result": text(str(os.getpid()))})
        elif mode == "folder":
            self.send({"id": number, "result": text(os.getcwd())})
        elif mode == "arguments":
            self.send({"id": number, "result": text(json.dumps(sys.argv[1:]))})
        elif mode == "waits" and self.calls == 1:
            with open(argument, "w", encoding="utf-8") as told:
                told.write(json.loads(sys.stdin.buffer.readline())["method"])
        elif mode == "logs":
            for logged in argument.split("\n"):
                self.raw(logged.replace("N", str(number)).encode() + b"\n")
            self.send(answer)
        elif mode == "deaf":
            self.send(answer)
            os.close(0)
            time.sleep(600)
        elif mode == "closes":
            os.close(1)
            time.sleep(600)
        elif mode == "meta":
            self.send({"id": number, "result": text(json.dumps(params.get("_meta"), sort_keys=True))})
        else:
            self.send(answer)


def main() -> None:
    if sys.argv[1] == "http":
        Http.mode, Http.seen = sys.argv[2], []
        server = Quiet(("127.0.0.1", 0), Http)
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()  # ends with whoever started it
        os._exit(0)
    try:
        Stdio(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "").run()
    except BrokenPipeError:
        os._exit(1)


if __name__ == "__main__":
    main()
