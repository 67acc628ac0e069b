"""Speed of transformers for one model, as a JSON object on stdout: transformers_peer.py '{"model": …}'.

Prompts are those of llama_cpp.mjs. Tokens are chosen greedily and not looked at.
"""

import json
import sys
import time

import torch
import transformers
from transformers import AutoModelForCausalLM, DynamicCache


def prompt(length: int, seed: int) -> list[int]:
    return [(i * 7919 + seed * 104729) % 10000 + 1000 for i in range(length)]


@torch.inference_mode()
def step(model, tokens, cache):
    """The next tokens, [sequences, 1]. Only the last position's logits are computed."""
    return model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits.argmax(-1)


def prefill(model, length: int) -> float:
    tokens = torch.tensor([prompt(length, 1)])
    begin = time.perf_counter()
    step(model, tokens, DynamicCache(config=model.config))
    return length / (time.perf_counter() - begin)


def decode(model, batch: int, decode_from: int, new_tokens: int) -> float:
    cache = DynamicCache(config=model.config)
    tokens = step(model, torch.tensor([prompt(decode_from, seed) for seed in range(batch)]), cache)
    begin = time.perf_counter()
    for _ in range(new_tokens):
        tokens = step(model, tokens, cache)
    return batch * new_tokens / (time.perf_counter() - begin)


def main(args: dict) -> None:
    torch.set_num_threads(args["threads"])
    model = AutoModelForCausalLM.from_pretrained(args["model"], dtype=getattr(torch, args["dtype"])).eval()
    # Once before the clock runs, as cb-lab does.
    for n in args["promptLens"]:
        prefill(model, n)
    results = [{"case": f"prefill {n}", "tokensPerSecond": prefill(model, n)} for n in args["promptLens"]]
    results += [
        {"case": f"decode {n}", "tokensPerSecond": decode(model, n, args["decodeFrom"], args["newTokens"])} for n in args["batches"]
    ]
    print(json.dumps({"version": f"{transformers.__version__}, torch {torch.__version__}", "results": results}))


if __name__ == "__main__":
    transformers.utils.logging.disable_progress_bar()
    main(json.loads(sys.argv[1]))
