"""The tables of `state.db` as plain SQL, one tuple of statements per version; no connection is opened here.

Times are epoch milliseconds, money is nano-dollars (10^-9 USD) as integers, documents are JSON text. A version that has
been released is never edited: what changes is appended as the next one (`PRAGMA user_version` counts them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_llm.errors import StoreError

if TYPE_CHECKING:
    import sqlite3

_FIRST = (
    # `usd` is NULL where no price is known; `charged` is what budgets count for the row, never NULL.
    """CREATE TABLE ledger (
        id INTEGER PRIMARY KEY,
        ts INTEGER NOT NULL,
        run_id TEXT,
        parent_run TEXT,
        principal TEXT,
        context TEXT,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        model_used TEXT,
        operation TEXT NOT NULL,
        input INTEGER,
        output INTEGER,
        cached INTEGER,
        cache_write INTEGER,
        reasoning INTEGER,
        usd INTEGER,
        cost_source TEXT,
        first_token_ms INTEGER,
        total_ms INTEGER,
        outcome TEXT NOT NULL,
        request_id TEXT,
        charged INTEGER NOT NULL,
        charged_tokens INTEGER NOT NULL
    )""",
    "CREATE INDEX ledger_ts ON ledger (ts)",
    # No index by run: random keys would double the cost of a row; what a run has spent is in `budgets`.
    # What a scope has spent, and what is held by reservations in flight.
    """CREATE TABLE budgets (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        usd INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        held_usd INTEGER NOT NULL DEFAULT 0,
        held_tokens INTEGER NOT NULL DEFAULT 0,
        held_calls INTEGER NOT NULL DEFAULT 0,
        updated INTEGER NOT NULL,
        PRIMARY KEY (kind, key)
    ) WITHOUT ROWID""",
    # `ledger` is the row written in the name of a reservation whose process died ("unknown"); NULL while it is held.
    """CREATE TABLE reservations (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        scopes TEXT NOT NULL,
        usd INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        entry TEXT,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        ledger INTEGER
    ) WITHOUT ROWID""",
    "CREATE INDEX reservations_expires ON reservations (expires) WHERE ledger IS NULL",
    # owner, fence, expires and attempts are the lease of whoever works on the run.
    """CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        principal TEXT,
        status TEXT NOT NULL,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        model TEXT,
        request TEXT,
        result TEXT,
        parent TEXT,
        owner TEXT,
        fence INTEGER NOT NULL DEFAULT 0,
        expires INTEGER,
        attempts INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
    "CREATE INDEX runs_updated ON runs (updated)",
    "CREATE INDEX runs_parent ON runs (parent) WHERE parent IS NOT NULL",
    """CREATE TABLE run_events (
        run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        ts INTEGER NOT NULL,
        kind TEXT NOT NULL,
        data TEXT NOT NULL,
        crc INTEGER,
        fence INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (run, seq)
    ) WITHOUT ROWID""",
    """CREATE TABLE threads (
        id TEXT PRIMARY KEY,
        principal TEXT,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE thread_messages (
        thread TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        ts INTEGER NOT NULL,
        message TEXT NOT NULL,
        PRIMARY KEY (thread, seq)
    ) WITHOUT ROWID""",
    # Parameters that a model was seen to refuse, kept until they are tried again.
    """CREATE TABLE learned (
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        parameter TEXT NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (provider, model, parameter)
    ) WITHOUT ROWID""",
)

_SECOND = (
    # When the user asked for the end; whoever drives the run sees it at its next write or renewal.
    "ALTER TABLE runs ADD COLUMN cancel INTEGER",
    "CREATE INDEX runs_expires ON runs (expires) WHERE expires IS NOT NULL",
    # What a run asked a person; `answer` is NULL until somebody has.
    """CREATE TABLE run_questions (
        run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        id TEXT NOT NULL,
        asked INTEGER NOT NULL,
        deadline INTEGER,
        question TEXT NOT NULL,
        answer TEXT,
        answered INTEGER,
        PRIMARY KEY (run, id)
    ) WITHOUT ROWID""",
    # Texts that were too long for the model or the host, read page by page.
    """CREATE TABLE run_texts (
        run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        id TEXT NOT NULL,
        created INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (run, id)
    )""",
)

_THIRD = (
    # The hosts that called, as they named themselves.
    """CREATE TABLE clients (
        name TEXT PRIMARY KEY,
        version TEXT NOT NULL,
        protocol TEXT NOT NULL,
        seen INTEGER NOT NULL
    ) WITHOUT ROWID""",
)

_FOURTH = (
    # Bearer tokens: `hash` is the SHA-256 of one that was shown once; `tools` a JSON list of globs, NULL for all.
    """CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        hash TEXT NOT NULL,
        tools TEXT,
        created INTEGER NOT NULL,
        expires INTEGER,
        used INTEGER
    ) WITHOUT ROWID""",
    # Secrets that the processes of one home share, made when first needed.
    """CREATE TABLE secrets (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL,
        created INTEGER NOT NULL
    ) WITHOUT ROWID""",
)

_FIFTH = (
    # What a host declared and was seen to do, as JSON.
    "ALTER TABLE clients ADD COLUMN details TEXT NOT NULL DEFAULT '{}'",
)

_SIXTH = (
    # There are as many reservations as calls in flight: looking at all of them is cheaper than two pages more a call.
    "DROP INDEX reservations_expires",
)

_SEVENTH = (
    # What is asked again and again, of a table of which nearly all has ended.
    "CREATE INDEX runs_live ON runs (kind) WHERE status IN ('running', 'waiting')",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH, _SEVENTH)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to the newest version, in one transaction; several processes may do so at once.

    Raises StoreError when the file was written by a newer version of this program.
    """
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # again: another process may have been first
        if version > len(MIGRATIONS):
            raise StoreError(
                f"The state database has version {version}, this program knows {len(MIGRATIONS)}: "
                "upgrade mcp-llm, or set MCP_LLM_HOME to another folder."
            )
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
