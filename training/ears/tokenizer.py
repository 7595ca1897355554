"""The ears' own tokenizer: byte-level BPE laid out as Whisper's, so that converters and clients accept it.

Text tokens come first, then <|endoftext|>, <|startoftranscript|> and the other special tokens, then 1501
timestamps, which tokenizer.json leaves out (the CTranslate2 converter appends them up to vocab_size).
"""

import argparse
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from training.sentences import held_out, load_prose, load_sentences

TEXT_TOKENS = 800
TIMESTAMPS = 1501
SPECIAL_TOKENS = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>",
    "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip


def train_tokenizer(text_folder: Path) -> Tokenizer:
    """Learns merges from the training sentences only; the same text gives the same tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    sentences = [s for s in (*load_sentences(text_folder), *load_prose(text_folder)) if not held_out(s)]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=TEXT_TOKENS, initial_alphabet=alphabet, special_tokens=[], show_progress=False)
    tokenizer.train_from_iterator((f" {s}" for s in sentences), trainer)
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that must be there."""
    found: int | None = tokenizer.token_to_id(token)
    if found is None:
        raise ValueError(f"the tokenizer has no {token}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--text-folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("data/ears/tokenizer.json"))
    arguments = parser.parse_args()
    train_tokenizer(arguments.text_folder).save(str(arguments.out))


if __name__ == "__main__":
    main()
