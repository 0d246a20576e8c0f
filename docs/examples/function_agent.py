"""An agent with a Python function as its tool.

The schema of the tool is made of the signature, its description of the docstring. The demo calls the tool that the
words name, with the JSON object among them; a real model decides for itself.
"""

import asyncio

from mcp_llm import run_agent


def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


def show(event: dict) -> None:
    """Print what the agent does, as it does it."""
    if event["event"] in {"tool_start", "tool_end", "finish"}:
        print(event["event"], event.get("tool", ""), event.get("args", ""), event.get("result", ""))


async def main() -> None:
    config = {
        "prompt": 'Call add with {"a": 2, "b": 40}',
        "model": "demo",
        "functions": [add],
        "disable_mcp": True,  # no servers of the settings
        "budget_usd": 0.10,
        "max_turns": 5,
    }
    print(await run_agent(config, on_event=show))


asyncio.run(main())
