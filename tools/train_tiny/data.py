"""Packs documents into rows of token ids."""

import itertools
import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from stories import EOS, documents

POOL = 64  # documents that wait for a row with room for them


def pack(docs: list[list[int]], row_length: int, longest: int, eos: int) -> np.ndarray:
    """Rows that begin where a document begins and hold whole documents, the longest that fits first; what is left is -1.

    A row has `row_length` tokens at most, but for a single document that is longer.

    Every other row starts with an eos token, so that the first token of a story is predicted after it as well.
    """
    rows, pool, source = [], [], iter(docs)
    while True:
        pool += itertools.islice(source, POOL - len(pool))
        if not pool:
            return np.array(rows, dtype=np.int16)
        row = [eos] if len(rows) % 2 else []
        row += pool.pop(0)
        while fitting := [d for d in pool if len(row) + len(d) <= row_length]:
            best = max(fitting, key=len)
            pool.remove(best)
            row += best
        rows.append(row + [-1] * (longest - len(row)))


def make(tok: Tokenizer, seed: int, held_out: bool, tokens: int, row_length: int, longest: int) -> tuple[np.ndarray, dict]:
    """Packed rows of about `tokens` tokens, and what the choices of these documents cost."""
    source, docs, total, bits = documents(seed, held_out), [], 0, 0.0
    while total < tokens:
        batch = list(itertools.islice(source, 1000))
        for doc, (_, cost) in zip(tok.encode_batch_fast([text for text, _ in batch]), batch):
            if len(doc.ids) < longest:  # a longer one (two long stories) is left out
                docs.append(doc.ids)
                total, bits = total + len(doc.ids), bits + cost
    facts = {"documents": len(docs), "tokens": total, "bits_per_document": bits / len(docs), "bits_per_token": bits / total}
    return pack(docs, row_length, longest, tok.token_to_id(EOS)), facts


def cached(folder: Path, name: str, build):
    """The rows and facts of `build()`, kept in `folder`."""
    path = folder / f"{name}.npy"
    if not path.exists():
        rows, facts = build()
        np.save(path, rows)
        path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    return np.load(path), json.loads(path.with_suffix(".json").read_text())
