"""The tokenizer: a byte-level BPE trained on the generator's text, and its chat template."""

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from stories import ASSISTANT, EOS, USER

SPECIALS = [EOS, USER, ASSISTANT]


def train(texts, size: int) -> Tokenizer:
    """A tokenizer of `size` entries, the special tokens first."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIALS, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tok.train_from_iterator(texts, trainer)
    assert tok.get_vocab_size() == size
    return tok


def save(tok: Tokenizer, folder: Path) -> None:
    """Writes tokenizer.json, tokenizer_config.json and chat_template.jinja."""
    fast = PreTrainedTokenizerFast(tokenizer_object=tok, eos_token=EOS, clean_up_tokenization_spaces=False, model_max_length=512)
    fast.chat_template = (Path(__file__).parent / "chat_template.jinja").read_text().removesuffix("\n")
    fast.save_pretrained(folder)
