"""Tokens of somebody else's server: which are taken, which are not, and how its keys are fetched."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from faults.server import FaultServer, Reply
from server.http.talking import call

from mcp_llm import config as configuration
from mcp_llm.errors import ConfigError
from mcp_llm.server.http import oauth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

ISSUER = "https://auth.example.com/"
RESOURCE = "https://box.example.com/mcp"
RSA = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def claims(**changed: Any) -> dict[str, Any]:
    whole = {
        "iss": ISSUER,
        "aud": RESOURCE,
        "sub": "alice",
        "exp": int(time.time()) + 300,
        "scope": "mcp read",
        **changed,
    }
    return {name: value for name, value in whole.items() if value is not None}


def signed(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "one", **changed: Any) -> str:
    return jwt.encode(claims(**changed), key, algorithm, headers={"kid": kid} if kid else None)


def typed(name: str) -> str:
    return jwt.encode(claims(), RSA, "RS256", headers={"kid": "one", "typ": name})


def key_set(**keys: Any) -> Reply:
    found = []
    for kid, key in keys.items():
        method: Any = (
            jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
        )
        found.append({**json.loads(method.to_jwk(key.public_key())), "kid": kid, "use": "sig"})
    return Reply(body=json.dumps({"keys": found}).encode())


def settings(**more: Any) -> dict[str, Any]:
    return {"oauth": {"issuer": ISSUER, "resource": RESOURCE, "scopes": ["mcp"], **more}}


async def status(server: Any, token: str) -> int:
    answer = await server.post(call("list_models", {}), f"authorization: Bearer {token}\r\n")
    return int(answer.status)


def unsigned(algorithm: str) -> str:
    parts = ({"alg": algorithm, "typ": "JWT", "kid": "one"}, claims())
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{head}.{body}."


REFUSED: dict[str, Callable[[], str]] = {
    "for another resource": lambda: signed(aud="https://other.example.com/mcp"),
    "for a longer name": lambda: signed(aud=RESOURCE + "2"),
    "without audience": lambda: signed(aud=None),
    "from another issuer": lambda: signed(iss="https://evil.example.com/"),
    "without issuer": lambda: signed(iss=None),
    "over": lambda: signed(exp=int(time.time()) - 60),
    "without end": lambda: signed(exp=None),
    "not begun": lambda: signed(nbf=int(time.time()) + 300),
    "nobody's": lambda: signed(sub=None),
    "with a subject that is no text": lambda: signed(sub="a\nb"),
    "signed by another key": lambda: signed(OTHER),
    "signed with the public key as a secret": lambda: _hmac(PEM),
    "with alg none": lambda: unsigned("none"),
    "with alg None": lambda: unsigned("None"),
    "without signature": lambda: signed().rpartition(".")[0] + ".",
    "with another algorithm of its key": lambda: signed(algorithm="RS512"),
    "cut": lambda: signed()[:-4],
    "an ID token by its type": lambda: typed("id_token+jwt"),
    "an ID token by its hash": lambda: signed(at_hash="x"),
    "an ID token by its nonce": lambda: signed(nonce="n", scope=None),
    "an ID token, as Cognito says": lambda: signed(token_use="id"),
    "an ID token, as Keycloak says": lambda: signed(typ="ID"),
    "a refresh token": lambda: signed(typ="Refresh"),
    "a logout token": lambda: signed(events={"http://schemas.openid.net/event/backchannel-logout": {}}),
    "no token at all": lambda: "a.b.c",
    "nested deep": lambda: ".".join([signed().partition(".")[0], _b64("[" * 4000), "x"]),
}


def _hmac(secret: str) -> str:
    import hashlib
    import hmac

    head, body = _b64(json.dumps({"alg": "HS256", "typ": "JWT"})), _b64(json.dumps(claims()))
    mark = hmac.new(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


def _b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("keys", ["fetched", "given"])
async def test_only_a_whole_token_for_this_resource_comes_in(served: Any, keys: str) -> None:
    with FaultServer([key_set(one=RSA)] * 20) as issuer:
        where = {"jwks_url": f"{issuer.url}/keys"} if keys == "fetched" else {"key": PEM}
        async with served(http=settings(**where)) as server:
            assert await status(server, signed()) == 200
            assert await status(server, signed(aud=["https://other.example.com", RESOURCE])) == 200
            assert await status(server, signed(scope=None, scp=["mcp"])) == 200
            assert await status(server, signed(typ="Bearer", token_use="access", nonce="n")) == 200
            assert await status(server, typed("at+JWT")) == 200
            assert await status(server, signed(scope="read")) == 403
            for what, make in REFUSED.items():
                assert await status(server, make()) == 401, what
            assert issuer.count() <= 1


async def test_where_the_audience_may_be_a_clients_a_token_has_to_show_that_it_is_for_access(served: Any) -> None:
    client = {"oauth": {"issuer": ISSUER, "resource": RESOURCE, "audience": "client-7", "key": PEM}}
    async with served(http=client) as server:
        mine: dict[str, Any] = {"aud": "client-7", "scope": None}
        assert await status(server, signed(**mine)) == 401
        assert await status(server, signed(**mine, azp="client-7", email="a@example.com")) == 401
        for shown in ({"client_id": "x"}, {"cid": "x"}, {"azpacr": "1"}, {"token_use": "access"}, {"typ": "Bearer"}):
            assert await status(server, signed(**mine, **shown)) == 200, shown
        assert await status(server, signed(**{**mine, "scope": "read"})) == 200
        typ = {"kid": "one", "typ": "at+jwt"}
        assert await status(server, jwt.encode(claims(**mine), RSA, "RS256", headers=typ)) == 200
    async with served(http={"oauth": {"issuer": ISSUER, "resource": RESOURCE, "key": PEM}}) as server:
        assert await status(server, signed(scope=None)) == 200  # for our URL, which is no client


async def test_a_subject_is_a_principal_that_no_token_of_ours_can_be(served: Any) -> None:
    async with served(http=settings(key=PEM)) as server:
        for subject in ("alice", "local", "alice@evil.example.com"):
            token = signed(sub=subject)
            message = call("generate", {"prompt": "hi", "model": "demo"})
            made = await server.post(message, f"authorization: Bearer {token}\r\n")
            run_id = made.data["result"]["structuredContent"]["run_id"]
            rows = await server.app.store.query("SELECT principal FROM runs WHERE id = ?", (run_id,))
            assert rows == [(f"{subject}@auth.example.com",)]


async def test_a_client_without_a_token_is_shown_where_to_get_one(served: Any) -> None:
    where = "/.well-known/oauth-protected-resource"
    async with served(http=settings(key=PEM)) as server:
        answer = await server.post(call("list_models", {}))
        assert answer.status == 401
        url = f"https://box.example.com{where}/mcp"
        assert answer.headers["www-authenticate"] == f'Bearer resource_metadata="{url}", scope="mcp"'
        for path in (where, f"{where}/mcp"):
            said = await server.ask(path)
            assert said.data == {
                "resource": RESOURCE,
                "authorization_servers": [ISSUER],
                "bearer_methods_supported": ["header"],
                "scopes_supported": ["mcp"],
                "resource_name": "mcp-llm",
            }
        wrong = await server.post(call("list_models", {}), "authorization: Bearer a.b.c\r\n")
        assert wrong.headers["www-authenticate"].startswith('Bearer error="invalid_token", resource_metadata="')
    async with served() as server:
        assert (await server.ask(where)).status == 404


async def test_a_new_key_is_fetched_when_it_is_first_used_and_made_up_ones_cost_the_issuer_nothing(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([key_set(one=RSA), key_set(one=RSA, two=EC)]) as issuer:
        async with served(http=settings(jwks_url=f"{issuer.url}/keys?v=1")) as server:
            assert await status(server, signed()) == 200
            for number in range(5):
                assert await status(server, signed(OTHER, kid=f"made-up-{number}")) == 401
            assert (issuer.count(), issuer.requests[0].target) == (1, "/keys?v=1")
            monkeypatch.setattr(oauth, "KEYS_EVERY", 0.0)
            assert await status(server, signed(EC, "ES256", "two")) == 200
            assert issuer.count() == 2


@pytest.mark.parametrize(
    "bad",
    [
        Reply(status=500),
        Reply(body=b"<html>"),
        Reply(body=b'{"keys": []}'),
        Reply(body=b'{"keys": 7}'),
        Reply(body=b"[]"),
        Reply(body=b"\xff"),
        Reply(body=b" " * 300_000),
        Reply(status=302, headers={"location": "http://127.0.0.1:1/"}),
        Reply(reset="headers"),
        Reply(body=json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "one", "alg": "HS256"}]}).encode()),
    ],
)
async def test_an_issuer_that_has_no_keys_is_a_reason_to_wait_and_not_to_let_in(served: Any, bad: Reply) -> None:
    with FaultServer([bad] * 4) as issuer:
        async with served(http=settings(jwks_url=f"{issuer.url}/keys")) as server:
            answer = await server.post(call("list_models", {}), f"authorization: Bearer {signed()}\r\n")
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert "issuer" not in answer.data["error"]["message"]


async def test_known_keys_serve_on_while_the_issuer_is_down(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth, "FRESH", 0.0)
    with FaultServer([key_set(one=RSA), Reply(status=500), Reply(status=500)]) as issuer:
        async with served(http=settings(jwks_url=f"{issuer.url}/keys")) as server:
            assert await status(server, signed()) == 200
            monkeypatch.setattr(oauth, "KEYS_FRESH", 0.0)
            monkeypatch.setattr(oauth, "KEYS_EVERY", 0.0)
            assert await status(server, signed()) == 200
            assert issuer.count() == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": PEM, "jwks_url": "https://auth.example.com/keys"},
        {},
        {"jwks_url": "http://auth.example.com/keys"},
        {"key": PEM, "algorithms": ["HS256"]},
        {"key": PEM, "algorithms": ["none"]},
        {"key": PEM, "algorithms": []},
        {"key": PEM, "resource": 'https://x"y'},
        {"key": PEM, "scopes": ['a"b']},
    ],
)
def test_a_setting_that_would_let_in_too_many_is_an_error(home: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        configuration.load(overrides={"http": settings(**wrong)})
