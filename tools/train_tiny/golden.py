"""Writes golden.json: what transformers continues prompts with (greedy, f32 from the saved bf16 weights, eager attention)."""

import json
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer

from check_samples import load
from stories import documents

NEW_TOKENS = 200
MARGIN = 2e-3  # smallest distance from the best to the second logit at any step
TEXTS = ["Once", "Once upon a time", "The little red boat", "<|user|>Tell me a story about a dragon.<|assistant|>",
         "<|user|>tell me a story about sharing<|assistant|>", "<|user|>Hello!<|assistant|>", "Long ago, a quiet girl named Nora",
         "It was a windy day, and a fox", "<|user|>Please tell me a story about a lost kite.<|assistant|>", "There once was a robot named Penny."]
TEXT_CASES = 6
LENGTHS = [15, 16, 17, 65, 130, 300]  # of prompts cut from held-out documents; around multiples of the block size
CHATS = [
    [{"role": "user", "content": "Tell me a story about a fox."}],
    [{"role": "user", "content": " Hello!\n"}, {"role": "assistant", "content": "Hello! What shall the story be about?"}, {"role": "user", "content": "A drum."}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me a story."}],
]
REFUSED = [[{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}]]


@torch.no_grad()
def greedy(model, prompt: list[int], eos: int):
    """Tokens and log-probabilities, or None where a step is too close to call."""
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=NEW_TOKENS, eos_token_id=eos,
                         pad_token_id=eos, return_dict_in_generate=True, output_logits=True)
    tokens, logits = out.sequences[0, len(prompt) :].tolist(), torch.cat(out.logits)
    best = logits.topk(2).values
    if (best[:, 0] - best[:, 1]).min() <= MARGIN:
        return None
    again = model(out.sequences, use_cache=False).logits[0, len(prompt) - 1 : -1]
    assert again.argmax(-1).tolist() == tokens, "generate with a cache differs from a full forward pass"
    return tokens, [round(x, 5) for x in logits.log_softmax(-1)[torch.arange(len(tokens)), tokens].tolist()]


def record(name: str, tok: Tokenizer, prompt: list[int], run, eos: int, extra: dict) -> dict:
    """A case in the form of tests/fixtures."""
    tokens, logprobs = run
    end = {"finish_reason": "length", "ignore_eos": False}
    if tokens[-1] == eos:
        tokens, logprobs = tokens[:-1], logprobs[:-1]
        end = {"finish_reason": "stop", "ignore_eos": False, "stop_token_id": eos}
    return {"name": name, **extra, "prompt_token_ids": prompt, "token_ids": tokens, "logprobs": logprobs, "text": tok.decode(tokens), **end}


def cases(model, tok: Tokenizer, eos: int) -> list[dict]:
    """The first `TEXT_CASES` texts with clear margins, and a held-out document with them for each of the `LENGTHS`."""
    found = []
    for text in TEXTS:
        prompt = tok.encode(text).ids
        if len(found) < TEXT_CASES and (run := greedy(model, prompt, eos)):
            found.append(record(f"text-{len(found)}", tok, prompt, run, eos, {"prompt_text": text}))
    source = documents(99, True)
    for length in LENGTHS:
        while True:
            ids = tok.encode(next(source)[0]).ids
            if len(ids) > length + 4 and (run := greedy(model, ids[:length], eos)):
                found.append(record(f"held-out-{length}", tok, ids[:length], run, eos, {}))
                break
    assert len(found) == TEXT_CASES + len(LENGTHS)
    return found


def write(folder: Path, eos: int) -> None:
    """Writes golden.json of a folder, with a few texts and conversations besides the cases."""
    model, auto = load(folder)
    tok = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = [*TEXTS, "", " two  spaces\n\nand lines ", "café, naïve, 你好 🙂"]
    rows = [{"text": t, "ids": tok.encode(t, add_special_tokens=False).ids, "ids_with_special": tok.encode(t).ids,
             "decoded": tok.decode(tok.encode(t).ids)} for t in texts]
    chats, errors = [], []
    for messages in CHATS + REFUSED:
        entry = {"messages": messages, "add_generation_prompt": True}
        try:
            rendered = auto.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception as error:  # jinja2's TemplateError, by raise_exception
            errors.append({**entry, "error": str(error)})
            continue
        chats.append({**entry, "rendered": rendered, "ids": tok.encode(rendered, add_special_tokens=False).ids})
    parts = [f'"transformers_version": "{transformers.__version__}"']
    for key, part in {"cases": cases(model, tok, eos), "tokenizer_cases": rows, "chat_cases": chats, "chat_errors": errors}.items():
        lines = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in part)
        parts.append(f'"{key}": [\n{lines}\n]')
    (folder / "golden.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")
