"""The misbehaving server over HTTP: one way per mode."""

from __future__ import annotations

import gzip
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from faults.child_words import MIB, OBJECT, hello, text, tool, tools

ANSWERS = {
    "another": '{"jsonrpc":"2.0","id":99N,"result":{"content":[]}}',
    "a notification": '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}',
    "nothing": "null",
    "a refusal": '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"the gateway is \\u001b[2Jclosed"}}',
    "as words": '{"jsonrpc":"2.0","id":"N","result":{"content":[{"type":"text","text":"worked"}]}}',
}
"""To a call of the number N."""


class Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mode = "ok"
    seen: list[str]

    def log_message(self, *args: Any) -> None:
        return

    def do_GET(self) -> None:
        self.seen.append("GET")
        if self.mode == "getflood":
            self.reply(200, b"id: 1\nretry: 0\ndata:\n\n", "text/event-stream")
            return
        if self.mode == "resumes" and (last := self.headers["last-event-id"]):
            self.events({"id": int(last), "result": text("worked")})
            return
        if self.mode == "resumes-for-ever" and (last := self.headers["last-event-id"]):
            self.seen.append(f"resumed {last}")
            self.breaks_off(int(last))
            return
        self.reply(405, b"")

    def do_DELETE(self) -> None:
        self.seen.append("DELETE")
        if self.mode == "hangdelete":
            time.sleep(30)
        self.reply(200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        message = json.loads(body)
        method, number = message.get("method"), message.get("id")
        self.seen.append(str(method))
        if number is None:
            self.reply(202, b"")
        elif method == "server/discover":
            self.discover(message)
        elif method == "initialize":
            self.start(message)
        elif method == "tools/list":
            self.listed(number)
        elif method == "tools/call":
            self.call(number, message["params"])
        else:
            self.result(number, {})

    def discover(self, message: dict[str, Any]) -> None:
        if self.mode not in {"mcp-header", "modern-input", "modern-task"}:
            self.error(message["id"], -32601, "Method not found")
            return
        shown = {
            "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}},
            "ttlMs": 0,
            "cacheScope": "private",
        }
        self.result(message["id"], {**shown, "resultType": "complete"})

    def start(self, message: dict[str, Any]) -> None:
        if self.mode == "redirect":
            self.reply(307, b"", location=sys.argv[3])
        elif self.mode == "html":
            self.reply(200, b"<html>log in</html>", "text/html")
        elif self.mode == "401":
            self.reply(401, b"go away", "text/plain")
        elif self.mode == "503":
            self.reply(503, b"\x1b[31mdown", "text/plain")
        else:
            self.result(message["id"], hello(message), session="s1" if self.mode != "stateless" else None)

    def listed(self, number: int) -> None:
        if self.mode == "bigsse":
            page = {"tools": [tool(f"tool{n}", description="d" * 4000) for n in range(500)]}
            self.events({"id": number, "result": page})
        elif self.mode in {"modern-input", "modern-task"}:
            self.result(number, {"tools": [tool()], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"})
        elif self.mode == "mcp-header":
            inner = {
                "type": "object",
                "properties": {
                    "api_key": {"type": "string", "x-mcp-header": "Key"},
                    "region": {"type": "string", "x-mcp-header": "Region"},
                },
            }
            self.result(
                number,
                {"tools": [tool(inputSchema=inner)], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"},
            )
        else:
            self.result(number, tools(self.mode, "", None))

    def call(self, number: int, params: dict[str, Any]) -> None:
        mode = self.mode
        if mode == "gzipbomb":
            packed = gzip.compress(b'{"jsonrpc":"2.0","id":%d,"result":{"x":"' % number + b"0" * (40 * MIB) + b'"}}')
            self.reply(200, packed, "application/json", encoding="gzip")
        elif mode == "resumes-for-ever" and params["name"] != "work":
            self.result(number, text(json.dumps(self.seen)))
        elif mode == "other-answers":
            self.answer(json.loads(ANSWERS[params["arguments"].get("which", "another")].replace("N", str(number))))
        elif mode in {"resumes", "resumes-for-ever"}:
            self.breaks_off(number)
        elif mode == "bigjson":
            self.pour(b'{"jsonrpc":"2.0","id":%d,"result":{"x":"' % number, b"0" * MIB, 200, length=200 * MIB + 50)
        elif mode == "bigchunked":
            self.pour(b'{"jsonrpc":"2.0","id":%d,"result":{"x":"' % number, b"0" * MIB, 200, length=None)
        elif mode == "values":
            self.pour(b'{"jsonrpc":"2.0","id":%d,"result":{"x":[' % number, b"[]," * 100_000, 50, length=None)
        elif mode == "pings":
            type(self).mode = "pings-over"
            self.head("text/event-stream")
            try:
                while True:
                    self.chunk(b": ping\n\n")
                    time.sleep(0.02)
            except OSError:
                self.seen.append("closed")
        elif mode == "pings-over":
            self.result(number, text(json.dumps(self.seen)))
        elif mode == "headers":
            self.send_response(200)
            for index in range(5000):
                self.send_header(f"x-{index}", "y" * 10)
            self.send_header("content-length", "0")
            self.end_headers()
        elif mode == "reset":
            self.connection.close()
            self.close_connection = True
        elif mode == "truncated":
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "5000")
            self.end_headers()
            self.wfile.write(b'{"jsonrpc":"2.0",')
            self.close_connection = True
        elif mode == "gone":
            type(self).mode = "ok"
            self.reply(404, b"")
        elif mode == "seen":
            self.result(number, text(json.dumps(self.seen)))
        elif mode == "modern-input":
            question = {"method": "elicitation/create", "params": {"message": "Your key?", "requestedSchema": OBJECT}}
            wants = {"resultType": "input_required", "inputRequests": {"a": question}, "requestState": "secret state"}
            self.result(number, wants)
        elif mode == "modern-task":
            task = {"taskId": "t", "status": "working", "ttlMs": None, "pollIntervalMs": 1}
            self.result(number, {"resultType": "task", **task})
        elif mode == "mcp-header":
            sent = {name.lower(): value for name, value in self.headers.items()}
            named = {name: value for name, value in sent.items() if name.startswith("mcp-param")}
            self.result(number, {**text(json.dumps(named)), "resultType": "complete"})
        elif mode == "headers-seen":
            self.result(number, text(json.dumps({name.lower(): value for name, value in self.headers.items()})))
        else:
            self.result(number, text("worked"))

    def answer(self, message: Any) -> None:
        self.reply(200, json.dumps(message).encode(), "application/json")

    def result(self, number: Any, result: dict[str, Any], session: str | None = None) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()
        self.reply(200, body, "application/json", session=session)

    def error(self, number: Any, code: int, message: str) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}).encode()
        self.reply(404, body, "application/json")

    def events(self, message: dict[str, Any]) -> None:
        body = b"event: message\ndata: " + json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n\n"
        self.reply(200, body, "text/event-stream")

    def breaks_off(self, number: int) -> None:
        self.reply(200, b"id: %d\nretry: 0\ndata:\n\n" % number, "text/event-stream")

    def reply(self, status: int, body: bytes, kind: str = "", **more: str | None) -> None:
        names = {"session": "mcp-session-id", "encoding": "content-encoding", "location": "location"}
        self.send_response(status)
        if kind:
            self.send_header("content-type", kind)
        for name, value in more.items():
            if value is not None:
                self.send_header(names[name], value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def head(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def pour(self, start: bytes, piece: bytes, times: int, length: int | None) -> None:
        try:
            if length is None:
                self.head("application/json")
                self.chunk(start)
                for _ in range(times):
                    self.chunk(piece)
                return
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(length))
            self.end_headers()
            self.wfile.write(start)
            for _ in range(times):
                self.wfile.write(piece)
        except OSError:
            self.close_connection = True


class Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        return
