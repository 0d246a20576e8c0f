"""What requests with files look like to the tests, and a picture for them."""

from __future__ import annotations

from typing import Any

from mcp_llm.types.message import Media

PNG = Media("image/png", "iVBORw0KGgo=")


def form(fields: Any) -> dict[str, Any]:
    """A form as the SDK takes it: files by name, several as a list, figures as figures."""
    found: dict[str, Any] = {}
    for one in fields:
        name = one.name.removesuffix("[]")
        if one.filename is not None:
            found.setdefault(name, []).append(one.value)
        else:
            found[name] = int(one.value) if one.value.isdigit() else {"true": True}.get(one.value, one.value)
    return {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in found.items()}
