"""Tokens of our own: shown once, kept as a hash, ended at once."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_llm.errors import Conflict, InvalidInput, StoreError
from mcp_llm.server.http import tokens as module
from mcp_llm.server.http.tokens import TOKEN, Tokens
from mcp_llm.store.sqlite import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_a_token_says_whose_it_is_and_what_may_be_called_with_it(store: Store) -> None:
    tokens = Tokens(store)
    alice, bob = await tokens.create("alice", tools=["gen*", "runs"]), await tokens.create("bob")
    assert TOKEN.fullmatch(alice)
    assert len({alice, bob, *[await tokens.create(f"t{number}") for number in range(5)]}) == 7
    found = [await tokens.verify(alice), await tokens.verify(bob)]
    assert [(owner.name, owner.tools) for owner in found if owner] == [("alice", ("gen*", "runs")), ("bob", None)]


def test_what_is_on_disk_is_a_hash_in_a_private_file(store: Store, path: Path) -> None:
    token = anyio.run(Tokens(store).create, "alice")
    kept = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"alice" in kept
    assert token.split("_", 2)[2].encode() not in kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("change", ["flip", "case", "cut", "longer", "other", "id", "space", "empty", "sql", "nul"])
async def test_anything_but_the_token_itself_is_unknown(store: Store, change: str) -> None:
    tokens = Tokens(store)
    token, other = await tokens.create("alice"), await tokens.create("bob")
    prefix, ident, secret = token.split("_", 2)
    head = f"{prefix}_{ident}"
    wrong = {
        "flip": f"{head}_{'A' if secret[0] != 'A' else 'B'}{secret[1:]}",
        "case": token.swapcase(),
        "cut": token[:-1],
        "longer": token + "A",
        "other": f"{head}_{other.split('_', 2)[2]}",
        "id": f"mcpllm_{'0' * 16}_{secret}",
        "space": f" {token}",
        "empty": "",
        "sql": "mcpllm_' OR 1=1 --_" + secret,
        "nul": token + "\0",
    }[change]
    assert await tokens.verify(wrong) is None
    assert (await tokens.verify(token)) is not None


async def test_an_expired_token_is_refused_also_while_it_is_remembered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(store)
    now = module._now()
    token = await tokens.create("alice", expires=now + 60_000)
    assert await tokens.verify(token)
    monkeypatch.setattr(module, "_now", lambda: now + 60_000)
    assert await tokens.verify(token) is None
    assert [(owner.name, owner.expired) for owner in await tokens.all()] == [("alice", True)]


async def test_a_revoked_token_is_refused_as_soon_as_it_is_looked_for_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = Tokens(store), Tokens(store)
    token = await here.create("alice")
    assert await elsewhere.verify(token)
    await here.revoke("alice")
    monkeypatch.setattr(module, "FRESH", 0.0)
    assert await elsewhere.verify(token) is None
    with pytest.raises(InvalidInput, match="no token 'alice'"):
        await here.revoke("alice")


async def test_guessing_does_not_reach_the_database(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(store)
    token = await tokens.create("alice")
    assert await tokens.verify(token)
    asked: list[str] = []

    async def query(sql: str) -> list[Any]:
        asked.append(sql)
        return await Store.query(store, sql)

    monkeypatch.setattr(store, "query", query)
    monkeypatch.setattr(module, "SOON", 3600.0)
    guesses = [f"mcpllm_{number:016x}_{'A' * 43}" for number in range(200)]
    assert [found for guess in guesses if (found := await tokens.verify(guess))] == []
    assert asked == []
    monkeypatch.setattr(module, "SOON", 0.0)
    assert await tokens.verify(await tokens.create("bob"))
    assert len(asked) == 1


async def test_a_name_has_one_token_until_it_is_replaced(store: Store) -> None:
    tokens = Tokens(store)
    first = await tokens.create("alice")
    with pytest.raises(Conflict, match="--replace"):
        await tokens.create("alice")
    second = await tokens.create("alice", replace=True)
    assert [await tokens.verify(token) is not None for token in (first, second)] == [False, True]


@pytest.mark.parametrize("name", ["local", "", "a b", "a@host", "x" * 65, "-a", "a\n", "*", "../a", "ä"])
async def test_a_name_can_be_mistaken_for_nobody(store: Store, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be a token's name"):
        await Tokens(store).create(name)


async def test_a_store_in_memory_takes_no_tokens() -> None:
    store = Store.open(None)
    with pytest.raises(StoreError, match="no token can be kept"):
        await Tokens(store).create("alice")
    store.close()
