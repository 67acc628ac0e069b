"""Measures cb-lab, llama.cpp and transformers on one machine, in turns, and prints their tokens per second.

    target/peers/venv/bin/python tools/peers/peers.py                     everything on the CPU, a quarter of an hour
    target/peers/venv/bin/python tools/peers/peers.py --model smollm2     one of the models
    target/peers/venv/bin/python tools/peers/peers.py --gpu               cb-lab and llama.cpp on Vulkan
    target/peers/venv/bin/python tools/peers/peers.py --json FILE.json    and a report

setup.sh makes what this needs. Build the program first: cargo build --release.

In turns: each engine runs once in a round, in an order that is turned round by round, so that a machine which becomes slower
meanwhile does so for all. A figure is the median of the rounds.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEERS = ROOT / "target" / "peers"
PROGRAM = ROOT / "target" / "release" / "cb-lab"
# Tokens of each sequence before decodes are timed.
DECODE_FROM = 16


@dataclass(frozen=True)
class Suite:
    """A model, and what is measured of it."""

    model: str
    prompt_lens: tuple[int, ...]
    batches: tuple[int, ...]
    new_tokens: int
    # What the GGUF file holds.
    gguf: str
    # Types of weights for cb-lab, and of everything for transformers.
    ours: tuple[str, ...]
    transformers: tuple[str, ...]


ON_CPU = [
    Suite("qwen2.5-0.5b", (256,), (1, 8), 32, "f16", ("bf16", "int8", "int4"), ("float32", "bfloat16")),
    Suite("smollm2", (441, 1761, 5501), (1, 8, 32), 64, "Q4_1", ("bf16", "int4"), ("float32",)),
]
ON_GPU = [Suite("qwen2.5-0.5b", (64,), (1,), 8, "f16", ("bf16",), ())]


def num_threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(command: list) -> str:
    # llama.cpp leaves software drivers of Vulkan alone, and computes on the CPU, unless a device is named.
    env = {"GGML_VK_VISIBLE_DEVICES": "0", **os.environ}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def ours(suite: Suite, weights: str, gpu: bool) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        run([PROGRAM, "bench", "model", "--backend", "gpu" if gpu else "cpu", "--model", PEERS / "models" / suite.model]
            + ["--prompt-len", ",".join(map(str, suite.prompt_lens)), "--batch", ",".join(map(str, suite.batches))]
            + ["--decode-from", DECODE_FROM, "--decode-steps", suite.new_tokens]
            + ["--weight-dtype", weights, "--repeats", "1", "--json", report])
        report = json.loads(report.read_text())
    # "prefill of 256 tokens", "decode, batch 8"
    names = [f"prefill {n}" for n in suite.prompt_lens] + [f"decode {n}" for n in suite.batches]
    speeds = [case["tokens"] / case["median_us"] * 1e6 for case in report["cases"]]
    assert len(names) == len(speeds), report["cases"]
    return {"version": f"{report['version']}, {report['device']}", "cases": dict(zip(names, speeds))}


def peer(command: list, suite: Suite, **more) -> dict:
    """A script that takes a JSON object and prints one."""
    args = {"promptLens": suite.prompt_lens, "batches": suite.batches, "decodeFrom": DECODE_FROM, "newTokens": suite.new_tokens}
    said = run([*command, json.dumps({**args, "threads": num_threads(), **more})])
    said = json.loads(said.splitlines()[-1])
    return {"version": said["version"], "cases": {r["case"]: r["tokensPerSecond"] for r in said["results"]}}


def engines(suite: Suite, gpu: bool) -> dict:
    """Functions that measure once, by the name of what they measure."""
    models = PEERS / "models"
    all_of_them = {f"cb-lab {weights}": lambda weights=weights: ours(suite, weights, gpu) for weights in suite.ours}
    gguf = str(models / f"{suite.model}.gguf")
    llama_cpp = ["node", PEERS / "llama_cpp.mjs"]
    all_of_them[f"llama.cpp {suite.gguf}"] = lambda: peer(llama_cpp, suite, model=gguf, gpu=gpu)
    for dtype in suite.transformers:
        script, folder = [sys.executable, HERE / "transformers_peer.py"], str(models / suite.model)
        all_of_them[f"transformers {dtype}"] = lambda dtype=dtype: peer(script, suite, model=folder, dtype=dtype)
    return all_of_them


def measure(suite: Suite, gpu: bool, rounds: int) -> list[dict]:
    measured = {name: [] for name in engines(suite, gpu)}
    for nth in range(rounds):
        in_turn = list(engines(suite, gpu).items())
        in_turn = in_turn[nth % len(in_turn):] + in_turn[:nth % len(in_turn)]
        for name, once in in_turn:
            print(f"{suite.model}, round {nth + 1} of {rounds}: {name}", file=sys.stderr)
            measured[name].append(once())
    return [
        {
            "model": suite.model,
            "engine": name,
            "version": runs[0]["version"],
            "tokens_per_second": {case: statistics.median(r["cases"][case] for r in runs) for case in runs[0]["cases"]},
            "rounds": [r["cases"] for r in runs],
        }
        for name, runs in measured.items()
    ]


def show(results: list[dict]) -> None:
    for model in dict.fromkeys(result["model"] for result in results):
        of_model = [result for result in results if result["model"] == model]
        cases = list(of_model[0]["tokens_per_second"])
        print(f"\n{model}, tokens per second")
        print(f"{'':26}" + "".join(f"{case:>14}" for case in cases))
        for result in of_model:
            speeds = "".join(f"{result['tokens_per_second'][case]:14.1f}" for case in cases)
            print(f"{result['engine']:26}{speeds}")


def machine() -> dict:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor(), "threads": num_threads(), "system": platform.system()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=[suite.model for suite in ON_CPU], help="only this model")
    parser.add_argument("--gpu", action="store_true", help="on Vulkan: a GPU, or the software driver where there is none")
    parser.add_argument("--rounds", type=int, default=3, help="times that each engine runs [3]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write a report")
    args = parser.parse_args()
    if not PROGRAM.exists():
        sys.exit(f"{PROGRAM} is missing: run cargo build --release")
    if not (PEERS / "models").exists():
        sys.exit(f"{PEERS} is missing: run tools/peers/setup.sh")
    suites = [s for s in (ON_GPU if args.gpu else ON_CPU) if args.model in (None, s.model)]
    if not suites:
        parser.error(f"{args.model} is measured on the CPU only")
    results = [result for suite in suites for result in measure(suite, args.gpu, args.rounds)]
    show(results)
    if args.json:
        report = {"machine": machine(), "backend": "vulkan" if args.gpu else "cpu", "rounds": args.rounds, "results": results}
        args.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
