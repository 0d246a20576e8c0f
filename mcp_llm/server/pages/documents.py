"""Puts a page together: one self-contained HTML document, with a policy that lets it load nothing and run only itself.

A template says what it takes with `<!-- style: a.css -->` and `<!-- script: a.js b.js -->`, and `<!-- head -->` is what
all have, the policy too; the same parts serve a page on loopback (`home="local"`) and a page in a host (`home="app"`),
which differ in how they get their data.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal, TypeAlias

Home: TypeAlias = Literal["local", "app"]

_PART: Final = re.compile(r"<!-- (style|script): ([\w. -]+) -->")
_WAY: Final[dict[Home, str]] = {"local": "local.js", "app": "host.js"}
LOCAL: Final = ("runs", "run", "compare", "usage", "settings")
"""Pages that `mcp-llm ui` serves."""


@dataclass(frozen=True, slots=True)
class Document:
    """`html` as bytes go out, `policy` as the header `Content-Security-Policy`."""

    html: str
    policy: str


@cache
def document(name: str, home: Home) -> Document:
    """The page of this name (a template in `static/`)."""
    hashes: dict[str, list[str]] = {"style": [], "script": []}

    def put(found: re.Match[str]) -> str:
        kind, names = found[1], found[2].split()
        text = "\n".join(_read(_WAY[home] if one == "way.js" else one) for one in names)
        if f"</{kind}" in text.lower():
            raise ValueError(f"{names}: a part may not end its own element")
        hashes[kind].append(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'")
        return f"<{kind}>{text}</{kind}>"

    template = _read(f"{name}.html").replace("<!-- head -->", _read("head.html").strip())
    html = _PART.sub(put, template.replace("{{home}}", home))
    connect = "'self'" if home == "local" else "'none'"
    policy = (
        f"default-src 'none'; script-src {' '.join(hashes['script'])}; style-src {' '.join(hashes['style'])}; "
        f"connect-src {connect}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    # Beside the host's own policy: what a host forgets to forbid, the page forbids itself.
    html = html.replace("{{policy}}", policy)
    return Document(html, f"{policy}; frame-ancestors 'none'")


@cache
def _read(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")
