"""JSON with comments is changed in one place, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.errors import InvalidInput
from mcp_llm.hosts import jsonc

ENTRY = {"command": "x", "args": ["serve"]}

PUT = {
    "nothing": ("", '{\n  "servers": {\n    "ours": 1\n  }\n}\n'),
    "nothing but a comment": ("// mine\n", '// mine\n{\n  "servers": {\n    "ours": 1\n  }\n}\n'),
    "an empty object": ("{}", '{\n  "servers": {\n    "ours": 1\n  }\n}'),
    "no servers yet": ('{\n  "a": 1\n}\n', '{\n  "a": 1,\n  "servers": {\n    "ours": 1\n  }\n}\n'),
    "empty servers": ('{\n  "servers": {}\n}', '{\n  "servers": {\n    "ours": 1\n  }\n}'),
    "tabs": ('{\n\t"servers": {\n\t\t"a": 1\n\t}\n}', '{\n\t"servers": {\n\t\t"a": 1,\n\t\t"ours": 1\n\t}\n}'),
    "one line": ('{"servers": {"a": 1 }, "b": 2}', '{"servers": {"a": 1, "ours": 1 }, "b": 2}'),
    "a last comma": (
        '{\n  "servers": {\n    "a": 1,\n  },\n}',
        '{\n  "servers": {\n    "a": 1,\n    "ours": 1,\n  },\n}',
    ),
    "a comment after the last": (
        '{\n  "servers": {\n    "a": 1 // one, two\n    // and more\n  }\n}',
        '{\n  "servers": {\n    "a": 1, // one, two\n    // and more\n    "ours": 1\n  }\n}',
    ),
    "a comment in an empty one": (
        '{\n  "servers": {\n    // none yet\n  }\n}',
        '{\n  "servers": {\n    // none yet\n    "ours": 1\n  }\n}',
    ),
    "Windows' line ends": ('{\r\n  "servers": {}\r\n}\r\n', '{\r\n  "servers": {\r\n    "ours": 1\r\n  }\r\n}\r\n'),
    "it is there": ('{"servers": {"ours": {"b": [1, {}]}, "z": 1}}', '{"servers": {"ours": 1, "z": 1}}'),
    "a name with escapes": ('{"servers": {"\\u006furs": 0}}', '{"servers": {"\\u006furs": 1}}'),
    "a name that stands twice": ('{"servers": {"ours": 0, "ours": 2}}', '{"servers": {"ours": 0, "ours": 1}}'),
    "marks in strings and comments": (
        '{ "a": "}//{\\"", /* } */ "servers": {"b": "[,]"} }',
        '{ "a": "}//{\\"", /* } */ "servers": {"b": "[,]", "ours": 1} }',
    ),
}

DROP = {
    "it is not there": ('{"servers": {"a": 1}}', '{"servers": {"a": 1}}'),
    "no servers": ("{ }", "{ }"),
    "nothing": ("\n", "\n"),
    "the only one": ('{\n  "servers": {\n    "ours": {\n      "x": 1\n    }\n  }\n}', '{\n  "servers": {\n  }\n}'),
    "the first": ('{\n  "servers": {\n    "ours": 1,\n    "a": 2\n  }\n}', '{\n  "servers": {\n    "a": 2\n  }\n}'),
    "the last": ('{\n  "servers": {\n    "a": 2,\n    "ours": 1\n  }\n}', '{\n  "servers": {\n    "a": 2\n  }\n}'),
    "one of a line": ('{"servers": {"a": 2, "ours": 1, "b": 3}}', '{"servers": {"a": 2, "b": 3}}'),
    "the last of a line": ('{"servers": {"a": 2, "ours": 1}}', '{"servers": {"a": 2}}'),
    "comments around it": (
        '{"servers": {\n  "a": 2, // two\n  // ours\n  "ours": 1 // one\n}}',
        '{"servers": {\n  "a": 2 // two\n  // ours\n // one\n}}',
    ),
    "a comment that would swallow what follows": (
        '{"servers": {"a": 2, // two\n"ours": 1}}',
        '{"servers": {"a": 2 // two\n}}',
    ),
    "a last comma": ('{"servers": {\n  "a": 2,\n  "ours": 1,\n}}', '{"servers": {\n  "a": 2,\n}}'),
}


@pytest.mark.parametrize(("before", "after"), PUT.values(), ids=PUT)
def test_a_member_is_put_in_as_its_neighbours_are_written(before: str, after: str) -> None:
    assert jsonc.put(before, ["servers", "ours"], 1) == after


@pytest.mark.parametrize(("before", "after"), DROP.values(), ids=DROP)
def test_a_member_is_taken_out_with_its_comma(before: str, after: str) -> None:
    assert jsonc.drop(before, ["servers", "ours"]) == after


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1,, }', "line 1 is no JSON (Expecting property name enclosed in double quotes)"),
        ('{\n"a": 1\n', "line 3 is no JSON (Expecting ',' delimiter)"),
        ("{'a': 1}", "line 1 is no JSON (Expecting property name enclosed in double quotes)"),
        ("[" * 100_000, "it is nested too deep"),
        ('{"servers": [1]}', "`servers` is no object"),
        ("[1]", "`the whole file` is no object"),
    ],
)
def test_what_cannot_be_changed_is_refused_with_its_reason(text: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        jsonc.put(text, ["servers", "ours"], 1)
    assert str(caught.value) == told


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
whole = st.dictionaries(st.sampled_from(["servers", "a", '"', "//", "{"]), json_values, max_size=4)


@given(
    data=whole,
    servers=st.dictionaries(st.sampled_from(["ours", "b", "c"]), json_values, max_size=3),
    indent=st.sampled_from([None, 2, 4, "\t"]),
    lines=st.sampled_from(["\n", "\r\n"]),
)
def test_only_that_member_differs_afterwards(
    data: dict[str, Any], servers: dict[str, Any], indent: Any, lines: str
) -> None:
    data = {**data, "servers": servers}
    text = json.dumps(data, indent=indent).replace("\n", f" // note{lines}" if indent else "")
    after = jsonc.put(text, ["servers", "ours"], ENTRY)
    assert jsonc.parse(after) == {**data, "servers": {**servers, "ours": ENTRY}}
    assert jsonc.put(after, ["servers", "ours"], ENTRY) == after
    rest = {name: value for name, value in servers.items() if name != "ours"}
    assert jsonc.parse(jsonc.drop(after, ["servers", "ours"])) == {**data, "servers": rest}
    if "ours" not in servers and servers:
        assert jsonc.drop(after, ["servers", "ours"]) == text
