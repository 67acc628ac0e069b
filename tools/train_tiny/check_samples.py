"""Samples from a model folder: do they end by themselves, and is every word one of the generator's?"""

import argparse
import re
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import chat
import plots
import plots2
import tables
import words
import words2

PLAIN = ["Once upon a time", "The little red boat", "There once was a", "One windy day,", "Long ago, a", "Lily", "A curious", "It was a rainy morning,",
         "Far away in the hills", "Once there was a dragon named Otto"]
CHAT = ["Tell me a story about a lost kite.", "Tell me a story about a dragon.", "Please tell me a story about a girl named Mia.",
        "tell me a story about sharing", "Can you tell me a story about a bird?", "Write a story about a strange noise.",
        "I would like a story about a pumpkin.", "Tell me a story about telling the truth.", "Tell me a story.",
        "A story about a frog who is afraid of thunder, please."]
PROMPTS = [x for pair in zip(PLAIN, [f"<|user|>{text}<|assistant|>" for text in CHAT]) for x in pair]


def strings(value) -> list[str]:
    """Every text inside a value of a data module."""
    if isinstance(value, dict):
        return [s for k, v in value.items() if k != "picks" for s in strings(v)]
    if isinstance(value, (list, tuple, set)):
        return [s for v in value for s in strings(v)]
    return [value] if isinstance(value, str) else []


def lexicon() -> set[str]:
    """Every word that the generator can write, in small letters."""
    texts = list(words.PEOPLE) + [s for module in (plots, plots2, words, words2, chat, tables) for k, v in vars(module).items() if k.isupper() for s in strings(v)]
    return {w for text in texts for w in split(re.sub(r"\{\w+\}", " ", text))} | {"an"}


def split(text: str) -> list[str]:
    """The words of a text, in small letters, without a possessive ending."""
    return [re.sub(r"'s?$", "", w) for w in re.findall(r"[a-z']+", text.lower().replace(" '", " ")) if w.strip("'")]


def load(folder: Path):
    """The folder's model in f32 with eager attention, and its tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    return model, AutoTokenizer.from_pretrained(folder)


@torch.no_grad()
def sample(model, tok, prompt: str, seed: int, limit: int = 300, **how) -> tuple[str, bool]:
    """A continuation of `prompt`, and whether it ended by itself."""
    ids = torch.tensor([tok(prompt)["input_ids"]])
    torch.manual_seed(seed)
    how = {"do_sample": True, "top_k": 0, "top_p": 1.0, **how} if how.get("do_sample", True) else how
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=limit, pad_token_id=tok.eos_token_id, **how)[0].tolist()
    return tok.decode(out[ids.shape[1] :], skip_special_tokens=True), out[-1] == tok.eos_token_id


def check(folder: Path, temperature: float, count: int, show: bool) -> dict:
    """Draws `count` samples of the prompts; returns how many ended, and the strange words."""
    model, tok = load(folder)
    known, strange, ended = lexicon(), set(), 0
    for i in range(count):
        prompt = PROMPTS[i % len(PROMPTS)]
        text, stopped = sample(model, tok, prompt, seed=1000 + i, temperature=temperature)
        ended += stopped
        # A word of the prompt that goes on in the sample is checked as a whole.
        strange |= set(split((prompt if prompt[0] != "<" else "") + text)) - known - set(split(prompt))
        if show:
            print(f"--- {i + 1}: {prompt!r}{'' if stopped else ' (did not end)'}\n{text}\n")
    return {"temperature": temperature, "samples": count, "ended": ended, "strange_words": sorted(strange)}


if __name__ == "__main__":
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("folder", type=Path)
    args.add_argument("--temperature", type=float, default=0.7)
    args.add_argument("--count", type=int, default=20)
    args = args.parse_args()
    torch.set_num_threads(1)
    found = check(args.folder, args.temperature, args.count, show=True)
    print(found)
    raise SystemExit(bool(found["strange_words"]) or found["ended"] < 0.9 * args.count)
