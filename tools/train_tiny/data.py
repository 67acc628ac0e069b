"""Rows of token ids: one document each, in batches of about the same length."""

import itertools
import json
import random
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from stories import EOS, documents

POOL = 512  # documents that are sorted by length before they are cut into batches


def rows_of(docs: list[list[int]], batch: int, longest: int, eos: int, seed: int) -> np.ndarray:
    """Rows filled up with -1; every `batch` rows that follow each other are of similar length.

    A document has its row to itself, as a prompt has its context: no other story's names are near. Every other row starts
    with an eos token, so that the first token of a story is predicted as well.
    """
    rng, rows = random.Random(seed), []
    for start in range(0, len(docs), POOL):
        pool = sorted(docs[start : start + POOL], key=len)
        batches = [pool[i : i + batch] for i in range(0, len(pool), batch)]
        rng.shuffle(batches)
        for doc in itertools.chain.from_iterable(batches):
            row = [eos] * (len(rows) % 2) + doc
            rows.append(row + [-1] * (longest - len(row)))
    return np.array(rows, dtype=np.int16)


def make(tok: Tokenizer, seed: int, held_out: bool, tokens: int, batch: int, longest: int) -> tuple[np.ndarray, dict]:
    """Rows of about `tokens` tokens, and what the choices of their documents cost."""
    source, docs, total, bits = documents(seed, held_out), [], 0, 0.0
    while total < tokens:
        part = list(itertools.islice(source, POOL))
        for doc, (_, cost) in zip(tok.encode_batch_fast([text for text, _ in part]), part):
            if len(doc.ids) < longest:  # a longer one (two long stories) is left out
                docs.append(doc.ids)
                total, bits = total + len(doc.ids), bits + cost
    facts = {"documents": len(docs), "tokens": total, "bits_per_document": bits / len(docs), "bits_per_token": bits / total}
    return rows_of(docs, batch, longest, tok.token_to_id(EOS), seed), facts


def cached(folder: Path, name: str, build):
    """The rows and facts of `build()`, kept in `folder`."""
    path = folder / f"{name}.npy"
    if not path.exists():
        rows, facts = build()
        np.save(path, rows)
        path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    return np.load(path), json.loads(path.with_suffix(".json").read_text())
