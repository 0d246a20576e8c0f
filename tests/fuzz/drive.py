"""Feeds a target until it breaks: `python tests/fuzz/drive.py sse --runs 1000000`; without a name all in turn.

Guided by coverage where atheris is installed (`pip install atheris`; wheels for Linux on x86-64 only, so no extra of
ours names it), else made of samples at random. A finding is written to `--out`; once mended it belongs into
`tests/fuzz/found/<target>/`, where the suite holds it.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as pytest has it: `fuzz` is a package of the tests


def guided(name: str, runs: int, out: Path, longest: int) -> None:
    """libFuzzer; ends the process itself, with 77 where something broke."""
    import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

    with atheris.instrument_imports(include=["mcp_llm", "dotenv"]):
        from fuzz.target import FOUND, targets

        target = targets()[name]
    corpus, words = out / f"{name}.corpus", out / f"{name}.words"
    corpus.mkdir(parents=True, exist_ok=True)
    found = FOUND / name
    for number, sample in enumerate((*target.samples, *(one.read_bytes() for one in found.glob("*")))):
        (corpus / f"sample{number}").write_bytes(sample)
    spelled = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    words.write_text("".join(f'"{word}"\n' for word in spelled), encoding="ascii")
    options = [
        f"-runs={runs}",
        f"-max_len={longest}",
        f"-dict={words}",
        f"-artifact_prefix={out / name}-",
        "-timeout=100000",  # its own alarm would end the process; the slowest input is told at the end
    ]
    quiet = ["-print_final_stats=1", "-verbosity=1", "-close_fd_mask=0", "-seed=1", "-rss_limit_mb=3000"]
    atheris.Setup([sys.argv[0], *options, *quiet, str(corpus)], target.run)
    atheris.Fuzz()


def unguided(name: str, runs: int, out: Path, seed: int) -> int:
    """Changed samples; the number of inputs that broke it."""
    from fuzz.mutate import inputs
    from fuzz.target import targets

    target, broken, began = targets()[name], set[str](), time.process_time()
    for data in inputs(target, runs, seed=seed):
        try:
            target.run(data)
        except Exception as exc:
            place = traceback.extract_tb(exc.__traceback__)[-1]
            key = f"{type(exc).__name__}-{Path(place.filename).stem}-{place.lineno}"
            if key not in broken:
                broken.add(key)
                out.mkdir(parents=True, exist_ok=True)
                (out / f"{name}-{key}").write_bytes(data)
                print(f"{name}: {key}: {str(exc)[:200]!r}: {data[:200]!r}", flush=True)
    print(f"{name}: {runs} inputs, {len(broken)} broke it, {time.process_time() - began:.0f} s of CPU", flush=True)
    return len(broken)


def main() -> int:
    from importlib.util import find_spec

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="TARGET")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=int, default=1024, help="bytes of an input")
    parser.add_argument("--out", type=Path, default=Path("fuzz-out"))
    parser.add_argument("--unguided", action="store_true", help="also where atheris is installed")
    chosen = parser.parse_args()
    warnings.simplefilter("error")
    logging.disable()
    if len(chosen.names) == 1 and not chosen.unguided and find_spec("atheris") is not None:
        guided(chosen.names[0], chosen.runs, chosen.out, chosen.longest)
        return 0
    from fuzz.target import targets

    names = chosen.names or list(targets())
    return 1 if sum(unguided(name, chosen.runs, chosen.out, chosen.seed) for name in names) else 0


if __name__ == "__main__":
    sys.exit(main())
