"""Asking from Python: one answer, its receipt, an answer in pieces, many at once, several models side by side.

Runs without a key on the built-in demo. With a key, write `anthropic:balanced` or your model in its place.
"""

from mcp_llm import Batch, compare_models, generate, generate_result, stream

MODEL = "demo"

print(generate("What is the capital of France?", MODEL))

result = generate_result(
    "Name a colour and say how warm it is.",
    MODEL,
    json_schema={
        "type": "object",
        "properties": {"colour": {"type": "string"}, "warmth": {"type": "integer"}},
        "required": ["colour", "warmth"],
    },
    budget_usd=0.01,
)
print(result.parsed, result.usage.total, result.cost.usd, result.run_id)

for piece in stream("Count to three.", MODEL):
    print(piece, end="", flush=True)
print()

batch = Batch(max_concurrent=5)
for colour in ("red", "green", "blue"):
    batch.create(f"A word for {colour}?", MODEL, tag=colour)
for request in batch.drain():  # each as it ends
    print(request.tag, "->", request.response or request.error)

compared = compare_models("Name a colour.", [MODEL, f"{MODEL}:other"], expect={"contains": "colour"})
print(compared.response)
