"""tokenizer.json of a Whisper checkpoint made from what other layouts keep: byte-pair ranks, or vocabulary and merges."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

from models.importing import UnusableSource

LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml cy sk "
    "te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo "
    "ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
).split()
"""In the order of their tokens (openai/whisper, tokenizer.py); the last came with large-v3."""
TIMESTAMPS = 1501
"""<|0.00|> to <|30.00|>, every 20 ms."""


def _byte_letters() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte: itself where it prints, else the next letter from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(0x100 + place) for place, byte in enumerate(others)}


_LETTERS = _byte_letters()
_BYTES = {letter: byte for byte, letter in _LETTERS.items()}


def special_tokens(languages: int) -> list[str]:
    """Those that follow the text tokens, <|notimestamps|> last but for the timestamps."""
    tags = [f"<|{tag}|>" for tag in LANGUAGES[:languages]]
    tasks = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    return ["<|endoftext|>", "<|startoftranscript|>", *tags, *tasks]


def read_tiktoken(path: Path) -> list[bytes]:
    """Tokens by rank from a ``.tiktoken`` file: base64 and rank in each line. Raises UnusableSource."""
    ranks: dict[int, bytes] = {}
    try:
        for line in path.read_text(encoding="ascii").splitlines():
            if line.strip():
                token, rank = line.split(" ")
                # OpenAI's file of many languages ends with a token that is a lone "=", which stands for no bytes at all.
                ranks[int(rank)] = base64.b64decode(token, validate=True) if token != "=" else b""
    except (ValueError, binascii.Error) as error:
        raise UnusableSource(f"{path} is no tiktoken vocabulary (base64 and rank in each line): {error}") from None
    if sorted(ranks) != list(range(len(ranks))) or not ranks:
        raise UnusableSource(f"{path}: its ranks are not 0 to {len(ranks) - 1}, each once")
    return [ranks[rank] for rank in range(len(ranks))]


def tokens_of_letters(path: Path, tokens: Sequence[str]) -> list[bytes]:
    """Text tokens of a list in GPT-2's letters, up to <|endoftext|>. Raises UnusableSource."""
    if "<|endoftext|>" not in tokens:
        raise UnusableSource(f"{path} has no token <|endoftext|>")
    try:
        return [bytes(_BYTES[letter] for letter in token) for token in tokens[: tokens.index("<|endoftext|>")]]
    except KeyError as error:
        raise UnusableSource(f"{path}: {error.args[0]!r} is no letter of a byte-level vocabulary") from None


def tokenizer_of_ranks(path: Path, tokens: Sequence[bytes], vocab_size: int) -> Tokenizer:
    """Byte-pair encoding in which a token's id is the rank of the merge that makes it, as in all of OpenAI's vocabularies.

    ``vocab_size`` says how many languages there are. ``path`` is named in errors. Raises UnusableSource.
    """
    languages = vocab_size - len(tokens) - TIMESTAMPS - len(special_tokens(0))
    if not 0 < languages <= len(LANGUAGES):
        raise UnusableSource(
            f"{path} has {len(tokens)} text tokens, which do not fit a checkpoint of {vocab_size} tokens "
            f"(multilingual.tiktoken goes with 51865 and 51866, gpt2.tiktoken with 51864)"
        )
    ranks = {token: rank for rank, token in enumerate(tokens)}
    merges = []
    for token in tokens:
        if len(token) > 1:
            parts = _parts(token, ranks)
            if len(parts) != 2:
                raise UnusableSource(f"{path}: token {token!r} is not made of two tokens of lower rank")
            merges.append((_spelt(parts[0]), _spelt(parts[1])))
    vocabulary = {_spelt(token): rank for rank, token in enumerate(tokens)}
    special = {token: len(tokens) + place for place, token in enumerate(special_tokens(languages))}
    return _tokenizer(path, BPE(vocabulary, merges, continuing_subword_prefix="", end_of_word_suffix=""), special, vocab_size)


def _parts(token: bytes, ranks: Mapping[bytes, int]) -> list[bytes]:
    """What byte-pair encoding makes of a token with only the merges of lower rank."""
    own = ranks[token]
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 1:
        pairs = [ranks.get(parts[i] + parts[i + 1], own) for i in range(len(parts) - 1)]
        lowest = min(pairs)
        if lowest >= own:
            break
        place = pairs.index(lowest)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def _spelt(token: bytes) -> str:
    return "".join(_LETTERS[byte] for byte in token)


def tokenizer_of_merges(vocab: Path, merges: Path, added: Mapping[str, int], vocab_size: int) -> Tokenizer:
    """vocab.json and merges.txt of Hugging Face; ``added`` are special tokens listed elsewhere. Raises UnusableSource.

    Where no special tokens are listed, they follow the vocabulary in Whisper's order.
    """
    try:
        ids: dict[str, int] = json.loads(vocab.read_text(encoding="utf-8"))
        model = BPE.from_file(str(vocab), str(merges))
    except Exception as error:  # the library knows no other kind
        raise UnusableSource(f"{vocab} and {merges} are no byte-pair vocabulary: {error}") from None
    special = dict(added) or {token: number for token, number in ids.items() if token.startswith("<|")}
    if len(special) <= 1:
        end = ids.get("<|endoftext|>", len(ids))
        languages = vocab_size - end - TIMESTAMPS - len(special_tokens(0))
        special = {token: end + place for place, token in enumerate(special_tokens(languages))}
    return _tokenizer(vocab, model, special, vocab_size)


def _tokenizer(path: Path, model: BPE, special: Mapping[str, int], vocab_size: int) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    for token in sorted(special, key=lambda token: special[token]):
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        if tokenizer.token_to_id(token) != special[token]:
            raise UnusableSource(
                f"{path}: token {token} should have the id {special[token]}, not {tokenizer.token_to_id(token)}"
            )
    if tokenizer.get_vocab_size() + TIMESTAMPS == vocab_size:
        tokenizer.add_tokens([AddedToken(f"<|{number * 0.02:.2f}|>", normalized=True) for number in range(TIMESTAMPS)])
    start, untimed, end = (f"<|{name}|>" for name in ("startoftranscript", "notimestamps", "endoftext"))
    try:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{start} {untimed} $A {end}",
            pair=f"{start} {untimed} $A $B:1 {end}:1",
            special_tokens=[(token, special[token]) for token in (start, untimed, end)],
        )
    except KeyError as error:
        raise UnusableSource(f"{path} has no token {error.args[0]}") from None
    return tokenizer
