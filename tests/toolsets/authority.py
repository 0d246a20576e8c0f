"""An MCP server that wants a token, and the authorization server that gives them, on one loopback port each.

Plain JSON-RPC of the handshake era, one tool. Every token is counted; a refresh token works once.
"""

from __future__ import annotations

import json
import threading
from base64 import urlsafe_b64encode
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit


class Authority:
    """`asked` are the grants that tokens were asked with, in order; `lasting` is how long one lasts, in seconds.

    `together` is what calls wait at before they are answered.
    """

    def __init__(self, *, lasting: int = 3600) -> None:
        self.lasting = lasting
        self.odd: dict[str, Any] = {}
        self.challenges: list[str] | None = ["S256"]
        self.asked: list[str] = []
        self.registered: list[list[str]] = []
        self.valid: set[str] = set()
        self.together = threading.Barrier(1)
        self._codes: dict[str, str] = {}
        self._refresh: set[str] = set()
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler(self)) for _ in range(2)]
        self.server, self.issuer = (f"http://127.0.0.1:{one.server_address[1]}" for one in self._servers)
        self.url = f"{self.server}/mcp"

    def __enter__(self) -> Self:
        for one in self._servers:
            threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._servers:
            one.shutdown()
            one.server_close()

    def get(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        if path == "/.well-known/oauth-protected-resource/mcp":
            return (
                200,
                {},
                {"resource": self.url, "authorization_servers": [self.issuer], "scopes_supported": ["tools"]},
            )
        if path == "/.well-known/oauth-authorization-server":
            return 200, {}, self._metadata()
        if path == "/authorize":
            code = f"code-{len(self._codes)}"
            self._codes[code] = query["code_challenge"]
            back = urlencode({"code": code, "state": query["state"], "iss": self.issuer})
            return 302, {"location": f"{query['redirect_uri']}?{back}"}, None
        return 404, {}, None

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "registration_endpoint": f"{self.issuer}/register",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            **({"code_challenge_methods_supported": self.challenges} if self.challenges else {}),
            "authorization_response_iss_parameter_supported": True,
        }

    def post(self, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], Any]:
        if path == "/register":
            wanted = json.loads(body)
            self.registered.append(wanted["redirect_uris"])
            return 201, {}, {**wanted, "client_id": f"client-{len(self.registered)}"}
        if path == "/token":
            return self._token({name: values[0] for name, values in parse_qs(body.decode()).items()})
        if path == "/mcp":
            return self._mcp(headers.get("authorization", "").removeprefix("Bearer "), json.loads(body))
        return 404, {}, None

    def _token(self, given: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        self.asked.append(given["grant_type"])
        if given["grant_type"] == "authorization_code":
            proof = urlsafe_b64encode(sha256(given["code_verifier"].encode()).digest()).decode().rstrip("=")
            good = self._codes.pop(given["code"], None) == proof and given.get("resource") == self.url
        else:
            good = given["refresh_token"] in self._refresh
            self._refresh.discard(given.get("refresh_token", ""))
        if not good:
            return 400, {}, {"error": "invalid_grant"}
        number = len(self.asked)
        self.valid = {f"access-{number}"}
        self._refresh.add(f"refresh-{number}")
        tokens = {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "token_type": "Bearer"}
        return 200, {}, {**tokens, "expires_in": self.lasting, "scope": "tools", **self.odd}

    def _mcp(self, token: str, message: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        if token not in self.valid:
            where = f"{self.server}/.well-known/oauth-protected-resource/mcp"
            return 401, {"www-authenticate": f'Bearer resource_metadata="{where}"'}, None
        results: dict[str, Any] = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "guarded", "version": "1"},
            },
            "tools/list": {"tools": [{"name": "who", "inputSchema": {"type": "object"}}]},
            "tools/call": {"content": [{"type": "text", "text": f"you have {token[7:]}: {token}"}]},
        }
        if message["method"] == "tools/call":
            self.together.wait(10)
        if "id" not in message:
            return 202, {}, None
        if message["method"] not in results:
            error = {"code": -32601, "message": "Method not found"}
            return 200, {}, {"jsonrpc": "2.0", "id": message["id"], "error": error}
        return 200, {}, {"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]}


def handler(authority: Authority) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self._answer(*authority.get(parts.path, query))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            self._answer(*authority.post(urlsplit(self.path).path, self.headers, body))

        def _answer(self, status: int, headers: dict[str, str], value: Any) -> None:
            body = b"" if value is None else json.dumps(value).encode()
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            if value is not None:
                self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
