"""Writes the model folder: weights, tokenizer, golden.json, the loss curve and the model card."""

import math
from pathlib import Path

import matplotlib
import torch
from transformers import GenerationConfig

import bpe
import check_samples
import golden
import train

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

CARD_SAMPLES = 10


def save(folder: Path, model, tok, eos: int) -> None:
    """Writes what a loader needs, the weights as bf16."""
    folder.mkdir(parents=True, exist_ok=True)
    model = model.to(torch.bfloat16)
    model.generation_config = GenerationConfig(eos_token_id=eos, pad_token_id=eos, do_sample=True, temperature=0.7)
    model.save_pretrained(folder)
    bpe.save(tok, folder)
    size = (folder / "model.safetensors").stat().st_size
    assert size <= 4_000_000, size


def picture(folder: Path, curves: dict, entropy: float) -> None:
    """The loss curve, in nats per token."""
    pyplot.figure(figsize=(7, 3.6))
    pyplot.plot(*zip(*[(n / 1e6, x) for n, x in curves["train"]]), label="training batches", linewidth=0.9)
    pyplot.plot(*zip(*[(n / 1e6, x) for n, x in curves["held_out"]]), "o-", markersize=3, label="held-out stories")
    pyplot.axhline(entropy, color="black", linestyle="--", linewidth=0.9, label="entropy of the generator's choices")
    pyplot.yscale("log")
    ticks = [0.2, 0.3, 0.5, 1, 2, 4, 7]
    pyplot.yticks(ticks, [str(t) for t in ticks])
    pyplot.gca().yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    pyplot.xlabel("tokens, millions")
    pyplot.ylabel("nats per token")
    pyplot.legend()
    pyplot.tight_layout()
    pyplot.savefig(folder / "loss.png", dpi=110, metadata={"Software": None})


def quote(text: str) -> str:
    """Text as a block quote with its line breaks."""
    return "\n".join("> " + line + "  " for line in text.split("\n"))


def samples(model, tok) -> str:
    """The first prompts of check_samples, unselected, and one prompt in three ways of choosing tokens."""
    parts = ["## Ten samples, not selected, at temperature 0.8\n"]
    for i, prompt in enumerate(check_samples.PROMPTS[:CARD_SAMPLES]):
        text, _ = check_samples.sample(model, tok, prompt, seed=i, temperature=0.8)
        parts.append(f"{i + 1}. `{prompt}`\n\n{quote(text.strip())}\n")
    parts.append("## One prompt, three ways\n")
    prompt = "Once upon a time"
    for name, how in (("greedy", {"do_sample": False}), ("temperature 0.8", {"temperature": 0.8}), ("temperature 1, top-p 0.9", {"top_p": 0.9})):
        text, _ = check_samples.sample(model, tok, prompt, seed=5, **how)
        parts.append(f"{name}: `{prompt}`\n\n{quote(text.strip())}\n")
    return "\n".join(parts)


def report(folder: Path, held_out, curves: dict, eos: int) -> None:
    """golden.json, loss.png and README.md."""
    golden.write(folder, eos)
    model, tok = check_samples.load(folder)
    loss = train.held_out_loss(model, held_out, eos, "cpu")
    model.eval()
    facts, recipe = curves["held_out_data"], curves["recipe"]
    entropy = facts["bits_per_token"] * math.log(2)
    checks = [check_samples.check(folder, t, 20, show=False) for t in (0.7, 0.8)]
    rows = [f"| {c['temperature']} | {c['ended']} of {c['samples']} | {', '.join(c['strange_words']) or 'none'} |" for c in checks]
    picture(folder, curves, entropy)
    size = (folder / "model.safetensors").stat().st_size
    card = (Path(__file__).parent / "card.md").read_text().removesuffix("\n")
    values = {
        "PARAMETERS": f"{curves['parameters']:,}", "BYTES": f"{size:,}", "LAYERS": recipe["layers"], "HIDDEN": recipe["hidden"],
        "HEADS": recipe["heads"], "KV": recipe["kv_heads"], "MLP": recipe["mlp"], "VOCAB": f"{recipe['vocab']:,}",
        "TRAIN_TOKENS": f"{curves['tokens'] / 1e6:.1f}", "TRAIN_DOCS": f"{curves['data']['documents']:,}",
        "HELD_DOCS": f"{facts['documents']:,}", "HELD_TOKENS": f"{facts['tokens']:,}",
        "LOSS": f"{loss:.4f}", "LOSS_BITS": f"{loss / math.log(2):.4f}", "PERPLEXITY": f"{math.exp(loss):.3f}",
        "ENTROPY": f"{entropy:.4f}", "ENTROPY_BITS": f"{facts['bits_per_token']:.4f}", "STORY_BITS": f"{facts['bits_per_document']:.1f}",
        "RATIO": f"{loss / entropy:.3f}", "MINUTES": f"{curves['seconds'] / 60:.0f}", "THREADS": curves["threads"],
        "DEVICE": curves["device"], "CHECKS": "\n".join(rows), "SAMPLES": samples(model, tok).rstrip(),
    }
    for key, value in values.items():
        card = card.replace(f"@{key}@", str(value))
    assert "@" not in card, card
    (folder / "README.md").write_text(card + "\n")
    print(f"held-out loss {loss:.4f} nats, generator {entropy:.4f}, ratio {loss / entropy:.3f}; {checks}")
