"""What of a server's settings is secret, and so is seen nowhere."""

from __future__ import annotations

import pytest

from mcp_llm.settings import Server, SignIn
from mcp_llm.toolsets.variables import secrets


@pytest.mark.parametrize(
    "server",
    [
        Server(command="a", args=("--key=${API_KEY}",)),
        Server(command="a", env={"X": "${API_KEY}"}),
        Server(url="https://host.invalid/mcp?k=${API_KEY}"),
        Server(url="https://host.invalid/mcp", oauth=SignIn(client_id="me", client_secret="${API_KEY}")),
        Server(url="https://host.invalid/mcp", oauth=SignIn(client_id="me", client_secret="${X}")),
    ],
)
def test_a_secret_is_known_by_itself_wherever_it_stands(server: Server) -> None:
    assert "the-value-of-it" in set(secrets(server, {"API_KEY": "the-value-of-it", "X": "the-value-of-it"}.get))
