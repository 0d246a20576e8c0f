"""A language model of half a megabyte: the llama architecture with random weights, characters as its vocabulary.

Real inference, meaningless text, the same every time. Needs the packages `gguf` and `numpy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import numpy

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, LAYERS, HEADS, INNER, WINDOW = 32, 2, 4, 64, 2048
CONTROL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
MARKS = ["<tool_call>", "</tool_call>"]
TEMPLATE = """\
{%- if tools %}<|im_start|>system
Tools:
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
Call one so: <tool_call>{"name": NAME, "arguments": ARGUMENTS}</tool_call><|im_end|>
{% endif %}
{%- for m in messages %}<|im_start|>{{ m.role }}
{{ m.content or '' }}
{%- for call in m.tool_calls or [] %}{% set f = call.function %}<tool_call>{"name": "{{ f.name }}", \
"arguments": {{ f.arguments | tojson }}}</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""With tools in the way that most open models have them, so that the engine's grammar for calls has work."""


def write(path: Path, seed: int = 1) -> None:
    """Write the file."""
    letters = ["\u2581", *map(chr, range(33, 127)), *"äß€界"]
    tokens = [*CONTROL, *(f"<0x{byte:02X}>" for byte in range(256)), *letters, *MARKS]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 4, *[gguf.TokenType.BYTE] * 256]
    kinds += [*[gguf.TokenType.NORMAL] * len(letters), *[gguf.TokenType.USER_DEFINED] * len(MARKS)]
    draw = numpy.random.default_rng(seed)

    def weights(*shape: int, spread: float = 0.2) -> numpy.ndarray:
        return (draw.standard_normal(shape) * spread).astype(numpy.float32)

    file = gguf.GGUFWriter(path, "llama")
    file.add_name("tiny")
    file.add_context_length(WINDOW)
    file.add_embedding_length(WIDTH)
    file.add_block_count(LAYERS)
    file.add_feed_forward_length(INNER)
    file.add_head_count(HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(WIDTH // HEADS)
    file.add_vocab_size(len(tokens))
    file.add_tokenizer_model("llama")
    file.add_token_list(tokens)
    file.add_token_scores([-index / 100 for index in range(len(tokens))])
    file.add_token_types(kinds)
    file.add_bos_token_id(1)
    file.add_eos_token_id(4)
    file.add_unk_token_id(0)
    file.add_add_space_prefix(False)
    file.add_chat_template(TEMPLATE)
    embedding, output = weights(len(tokens), WIDTH, spread=0.6), weights(len(tokens), WIDTH, spread=0.3)
    embedding[:, 0] = 3.0  # a constant, by which the output layer can favour and forbid
    output[:, 0] = 0.0
    output[: len(CONTROL) + 256, 0] = -40.0  # neither control tokens nor raw bytes
    output[4, 0] = 1.0  # but the end of the turn now and then
    output[-2, 0] = 1.0  # and the beginning of a call
    file.add_tensor("token_embd.weight", embedding)
    file.add_tensor("output.weight", output)
    file.add_tensor("output_norm.weight", numpy.ones(WIDTH, numpy.float32))
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_norm", "ffn_norm"):
            file.add_tensor(f"{block}.{name}.weight", numpy.ones(WIDTH, numpy.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            file.add_tensor(f"{block}.{name}.weight", _clean(name, weights(WIDTH, WIDTH)))
        for name, shape in (("ffn_gate", (INNER, WIDTH)), ("ffn_up", (INNER, WIDTH)), ("ffn_down", (WIDTH, INNER))):
            file.add_tensor(f"{block}.{name}.weight", _clean(name, weights(*shape)))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def _clean(name: str, matrix: numpy.ndarray) -> numpy.ndarray:
    """What is added to the stream leaves its constant as it is."""
    if name in {"attn_output", "ffn_down"}:
        matrix[0, :] = 0.0
    return matrix
