"""The same echo over HTTP, as the SDK runs it or behind our application: `http_echo.py sdk|ours PORT`."""

from __future__ import annotations

import sys

from sdk import build

if __name__ == "__main__":
    who, port = sys.argv[1], int(sys.argv[2])
    server = build(4, "")
    if who == "sdk":
        server.run("streamable-http", port=port)
    else:
        from mcp_llm import config
        from mcp_llm.server.http.run import serve_http

        serve_http(config.load(overrides={"http": {"port": port}}), server)
