"""Providers of your own, both ways: a TOML file for a server, and an object for code.

A small server on this machine stands for your company's. It speaks OpenAI's Chat Completions, as most do.
"""

import json
import os
import shutil
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from mcp_llm import generate_result, register_provider


class Company(BaseHTTPRequestHandler):
    """Answers every question the same way."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = f"{asked['model']} was asked: {asked['messages'][-1]['content']}"
        piece = {"choices": [{"index": 0, "delta": {"content": words}, "finish_reason": "stop"}]}
        usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}}
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in (json.dumps(piece), json.dumps(usage), "[DONE]"):
            self.wfile.write(f"data: {event}\n\n".encode())

    def log_message(self, *_: object) -> None:
        """Be quiet."""


class Echo:
    """A provider in code: one method is enough."""

    async def completion(self, prompt: str, model: str) -> str:
        return f"{model} heard {prompt!r}"


with tempfile.TemporaryDirectory() as home, ThreadingHTTPServer(("127.0.0.1", 0), Company) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Path(home, "providers").mkdir()
    shutil.copy(Path(__file__).with_name("mycompany.toml"), Path(home, "providers"))
    os.environ["MCP_LLM_HOME"] = home
    os.environ["MYCOMPANY_API_KEY"] = "a-key-of-my-company"
    os.environ["MYCOMPANY_BASE_URL"] = f"http://127.0.0.1:{server.server_port}/v1"  # the file's, for once elsewhere

    result = generate_result("What is new?", "mycompany:pro")
    print(result.response)
    print(result.receipt)

    register_provider("echo", Echo())
    print(generate_result("Hello", "echo:loud").response)
    server.shutdown()
