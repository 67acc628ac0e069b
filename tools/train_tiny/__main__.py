"""Builds the default model from nothing: `python tools/train_tiny`."""

import argparse
import itertools
import json
import time
from pathlib import Path

import torch

import bpe
import data
import finish
import train
from stories import EOS, documents

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Tokenizer, data, training, and everything that goes into the folder; what the work folder holds already is not made again."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--out", type=Path, default=ROOT / "models" / "tiny")
    args.add_argument("--work", type=Path, default=ROOT / "target" / "train_tiny", help="where the training rows are kept")
    args.add_argument("--tokens", type=int, default=train.Recipe.tokens, help="fewer for a trial run")
    args.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    args.add_argument("--threads", type=int, default=1)
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    recipe = train.Recipe(tokens=args.tokens)
    work = args.work / str(args.tokens)
    work.mkdir(parents=True, exist_ok=True)

    start = time.time()
    tok = bpe.train((text for text, _ in itertools.islice(documents(recipe.seed, False), 20_000)), recipe.vocab)
    eos = tok.token_to_id(EOS)
    rows, facts = data.cached(work, "train", lambda: data.make(tok, recipe.seed + 1, False, recipe.tokens, recipe.batch, recipe.longest))
    held_out, held_out_facts = data.cached(
        work, "held_out", lambda: data.make(tok, recipe.seed + 2, True, recipe.held_out_tokens, recipe.batch, recipe.longest))
    print(f"{time.time() - start:.0f} s for the data: {facts}, held out: {held_out_facts}", flush=True)

    model, curves = train.run(recipe, rows, held_out, eos, args.device, work / "checkpoint.pt")
    curves |= {"data": facts, "held_out_data": held_out_facts, "threads": args.threads, "device": args.device, "recipe": vars(recipe)}
    (work / "curves.json").write_text(json.dumps(curves) + "\n")
    finish.save(args.out, model.cpu(), tok, eos)
    finish.report(args.out, held_out, curves, eos)


if __name__ == "__main__":
    main()
