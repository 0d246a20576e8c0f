"""TOML is changed in one table, and nowhere else."""

from __future__ import annotations

import tomllib

import pytest

from mcp_llm.errors import InvalidInput
from mcp_llm.hosts import tables

PATH = ["mcp_servers", "mcp-llm"]
FIELDS = {"command": "/opt/x", "args": ["serve"], "env": {"A": 'say "hi"\\'}}
TABLE = (
    '[mcp_servers.mcp-llm]\ncommand = "/opt/x"\nargs = ["serve"]\n\n[mcp_servers.mcp-llm.env]\nA = "say \\"hi\\"\\\\"\n'
)

PUT = {
    "nothing": ("", TABLE),
    "other tables": ("a = 1\n\n[b]\nc = 2 # note\n", f"a = 1\n\n[b]\nc = 2 # note\n\n{TABLE}"),
    "no line end at the end": ("a = 1", f"a = 1\n\n{TABLE}"),
    "Windows' line ends": ("a = 1\r\n", "a = 1\r\n\r\n" + TABLE.replace("\n", "\r\n")),
    "it is there, between others": (
        (
            '[x]\n# mine\n\n[mcp_servers."mcp-llm"]\ncommand = "old"\n[mcp_servers.mcp-llm.env] # e\nB = "1"\n'
            "\n# yours\n[y]\n"
        ),
        f"[x]\n# mine\n\n{TABLE}\n# yours\n[y]\n",
    ),
    "its parts stand apart": (
        '[mcp_servers.mcp-llm]\ncommand = "old"\n[y]\nz = 1\n[mcp_servers.mcp-llm.env]\nB = "1"\n',
        f"{TABLE}[y]\nz = 1\n",
    ),
    "a string that looks like it": (
        'a = """\n[mcp_servers.mcp-llm]\ncommand = 1\n"""\n',
        f'a = """\n[mcp_servers.mcp-llm]\ncommand = 1\n"""\n\n{TABLE}',
    ),
    "others of the same kind": (
        '[mcp_servers.mcp-llm-2]\ncommand = "z"\n\n[[profiles]]\nb = 1\n',
        f'[mcp_servers.mcp-llm-2]\ncommand = "z"\n\n[[profiles]]\nb = 1\n\n{TABLE}',
    ),
}


@pytest.mark.parametrize(("before", "after"), PUT.values(), ids=PUT)
def test_a_table_is_put_in_its_place_or_at_the_end(before: str, after: str) -> None:
    assert tables.put(before, PATH, FIELDS) == after
    assert tables.put(after, PATH, FIELDS) == after
    assert tomllib.loads(after)["mcp_servers"]["mcp-llm"] == FIELDS


@pytest.mark.parametrize(
    "before", ["a = 1\n", '[b]\nc = """\n[d]\n"""\n', "# only words\n", "x = 1\r\n\r\n[y]\r\nz = 2\r\n"]
)
def test_what_was_put_in_is_taken_out_without_a_trace(before: str) -> None:
    assert tables.drop(tables.put(before, PATH, FIELDS), PATH) == before


def test_taking_out_leaves_what_stands_around_it() -> None:
    text = f"[a]\nb = 1\n\n# ours\n{TABLE}\n# theirs\n[c]\nd = 1\n"
    assert tables.drop(text, PATH) == "[a]\nb = 1\n\n# ours\n\n# theirs\n[c]\nd = 1\n"
    assert tables.drop("[a]\n", PATH) == "[a]\n"


def test_what_is_no_toml_is_refused_with_the_line() -> None:
    with pytest.raises(InvalidInput, match=r"it is no TOML: .*line 1"):
        tables.parse("a = = 1")
