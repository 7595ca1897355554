"""Voices of other people's packages with random weights of their published size, made to speak as long as ours does."""

import importlib
import importlib.util
import itertools
import json
import logging
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.listening_conditions import Floats
from benchmarks.side_by_side import Times, Work, in_turns, middle_ms, ratios, total_s
from benchmarks.spoken_sentences import utterances_of
from models.conv_tts.model import load
from models.phones import PAUSES
from models.speaking import steps_of
from models.speech import Synthesizer, Utterance
from models.voices import Voice
from server.text.frontend import TextFrontEnd
from training.sentences import load_sentences

OURS = "descant"
POCKET_PIECES = 4000
"""Of pocket-tts's text tokenizer; the published one cannot be had here, so one of that size is trained on the text."""
POCKET_PROMPT_S = 10
KOKORO = {
    "n_token": 178, "hidden_dim": 512, "style_dim": 128, "n_layer": 3, "n_mels": 80, "max_dur": 50, "dropout": 0.2,
    "text_encoder_kernel_size": 5, "vocab": {},
    "plbert": {
        "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 2048, "max_position_embeddings": 512,
        "num_hidden_layers": 12, "dropout": 0.1,
    },
    "istftnet": {
        "resblock_kernel_sizes": [3, 7, 11], "upsample_rates": [10, 6], "upsample_initial_channel": 512,
        "resblock_dilation_sizes": [[1, 3, 5]] * 3, "upsample_kernel_sizes": [20, 12], "gen_istft_n_fft": 20,
        "gen_istft_hop_size": 5,
    },
}  # fmt: skip
"""The published shape of Kokoro-82M 1.0."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One piece of work, with all that the peers need to know of it."""

    text: str
    utterances: tuple[Utterance, ...]
    seconds: float
    """How long our voice takes to say it, and so everybody."""

    @property
    def phonetic_letters(self) -> int:
        """Of a transcription as Kokoro reads it: phones, marks of stress, spaces between words."""
        phones = [phone for utterance in self.utterances for phone in utterance.phones]
        spoken = [phone for phone in phones if phone.symbol not in PAUSES]
        return len(phones) + sum(phone.stress > 0 for phone in spoken) + sum(phone.starts_word for phone in spoken)


@dataclass(frozen=True, slots=True)
class Peer:
    parameters: int
    """Of what speaks, without parts that only train or only clone."""
    sample_rate_hz: int
    streams: bool
    say: Callable[[Sentence], Iterator[Tensor]]


class FixedDurations(nn.Module):
    """A predictor of durations that does its work, whereupon the given ones are taken."""

    def __init__(self, predictor: nn.Module, answer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.predictor = predictor
        self.answer = answer
        self.frames = torch.zeros(0)
        """Per token, whole numbers."""

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        self.predictor(*inputs, **options)
        return self.answer(self.frames)


def spread(frames: int, tokens: int) -> Tensor:
    """Durations in whole frames, as equal as they can be."""
    edges = torch.arange(tokens + 1) * frames // tokens
    return edges.diff()


def at_once(speak: Callable[[Sentence], Tensor]) -> Callable[[Sentence], Iterator[Tensor]]:
    """A voice that gives a sentence whole."""

    def say(sentence: Sentence) -> Iterator[Tensor]:
        with torch.inference_mode():
            audio = speak(sentence)
        yield audio

    return say


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def tokens_of(length: int, vocabulary: int) -> Tensor:
    """Which tokens does not matter, how many does."""
    return torch.arange(length)[None] % (vocabulary - 2) + 1


def vits(text_folder: Path) -> Peer:
    from transformers import VitsConfig, VitsModel

    model: Any = VitsModel(VitsConfig())
    model.eval()
    durations = FixedDurations(model.duration_predictor, lambda frames: (frames - 0.5).clamp_min(0).log()[None, None])
    model.duration_predictor = durations
    rate_hz, hop = model.config.sampling_rate, int(np.prod(model.config.upsample_rates))

    def speak(sentence: Sentence) -> Tensor:
        tokens = tokens_of(2 * len(sentence.text) + 1, model.config.vocab_size)  # a blank around every letter
        durations.frames = spread(round(sentence.seconds * rate_hz / hop), tokens.shape[1])
        audio: Tensor = model(tokens).waveform[0]
        return audio

    return Peer(count(model) - count(model.posterior_encoder), rate_hz, False, at_once(speak))


def kokoro(text_folder: Path) -> Peer:
    # What the package itself imports is its text front end with spaCy and a phonemizer; the model needs neither.
    found = importlib.util.find_spec("kokoro")
    if found is None or found.submodule_search_locations is None:
        raise ModuleNotFoundError("kokoro")
    package = types.ModuleType("kokoro")
    package.__path__ = list(found.submodule_search_locations)
    sys.modules["kokoro"] = package
    network = importlib.import_module("kokoro.model")
    with tempfile.NamedTemporaryFile(suffix=".pth") as file, warnings.catch_warnings(action="ignore"):
        torch.save({}, file.name)  # no weights: what the constructors drew stays
        model = network.KModel(repo_id="random", config=KOKORO, model=file.name).eval()
    units = int(str(KOKORO["max_dur"]))
    durations = FixedDurations(
        model.predictor.duration_proj, lambda frames: (frames / units).logit()[None, :, None].expand(-1, -1, units)
    )
    model.predictor.duration_proj = durations
    rate_hz, hop = 24_000, 600
    style = torch.randn(1, 2 * int(str(KOKORO["style_dim"])))

    def speak(sentence: Sentence) -> Tensor:
        tokens = tokens_of(sentence.phonetic_letters + 2, int(str(KOKORO["n_token"])))
        durations.frames = spread(round(sentence.seconds * rate_hz / hop), tokens.shape[1])
        audio: Tensor = model.forward_with_tokens(tokens, style)[0]
        return audio

    return Peer(count(model), rate_hz, False, at_once(speak))


def pocket_tokenizer(text_folder: Path) -> str:
    """A tokenizer of the published size, as JSON."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer: Any = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=POCKET_PIECES, special_tokens=["<unk>"], show_progress=False)
    tokenizer.train_from_iterator(itertools.islice(load_sentences(text_folder), 20_000), trainer)
    missing = POCKET_PIECES - tokenizer.get_vocab_size()
    tokenizer.add_tokens([f"<unused {number}>" for number in range(missing)])
    return str(tokenizer.to_str())


def pocket(size: str) -> Callable[[Path], Peer]:
    """pocket-tts in one of its published sizes; ``size`` is the name of its configuration."""

    def build(text_folder: Path) -> Peer:
        package, settings = importlib.import_module("pocket_tts"), importlib.import_module("pocket_tts.utils.config")
        logging.getLogger("pocket_tts").setLevel(logging.ERROR)
        config = settings.load_config(settings.CONFIGS_DIR / f"{size}.yaml").model_dump()
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "tokenizer.json").write_text(pocket_tokenizer(text_folder), encoding="utf-8")
            config["flow_lm"]["lookup_table"] |= {
                "tokenizer": "tokenizers",
                "tokenizer_path": str(Path(folder) / "tokenizer.json"),
            }
            path = Path(folder) / "config.yaml"  # JSON is YAML
            path.write_text(json.dumps(config | {"weights_path": None, "weights_path_without_voice_cloning": None}))
            model = package.TTSModel.load_model(config=path, eos_threshold=1e9).eval()
        nn.init.normal_(model.flow_lm.speaker_proj_weight, std=0.02)
        rate_hz, frame_hz = model.sample_rate, config["mimi"]["frame_rate"]
        voice = model.get_state_for_audio_prompt(0.1 * torch.randn(1, POCKET_PROMPT_S * rate_hz))

        def say(sentence: Sentence) -> Iterator[Tensor]:
            model._estimate_max_gen_len = lambda tokens: round(sentence.seconds * frame_hz)
            yield from model.generate_audio_stream(voice, sentence.text, max_tokens=1000)

        cloning = [module for name, module in model.mimi.named_children() if name.startswith(("encoder", "downsample"))]
        return Peer(count(model) - count(*cloning), rate_hz, True, say)

    return build


def descant(model: Synthesizer, voice: Voice, sentence: Sentence) -> Iterator[Floats]:
    """Our voice, chunk by chunk as the server takes them."""
    for given in steps_of(model, [(voice, sentence.utterances)]):
        yield given[0].pcm


PEERS: Mapping[str, tuple[str, Callable[[Path], Peer]]] = {
    "VITS": ("transformers", vits),
    "Kokoro-82M": ("--no-deps kokoro==0.9.4 && pip install --group peers", kokoro),
    "pocket-tts 100M": ("--group peers", pocket("english_2026-10")),
    "pocket-tts 18M": ("--group peers", pocket("english_18m_2026-10")),
    "pocket-tts 2M": ("--group peers", pocket("english_2m_2026-10")),
}
"""What to give to ``pip install`` for each, and what makes it."""


def checked(name: str, peer: Peer, sentence: Sentence) -> int:
    """Samples of a sentence. Raises ValueError if the peer says less or more than it was told to, or no numbers."""
    chunks = torch.cat([chunk.reshape(-1) for chunk in peer.say(sentence)])
    seconds = len(chunks) / peer.sample_rate_hz
    if not torch.isfinite(chunks).all() or abs(seconds - sentence.seconds) > 0.09:
        raise ValueError(f"{name} spoke {seconds:.2f} s where our voice spoke {sentence.seconds:.2f} s")
    return len(chunks)


def compare(texts: Sequence[str], text_folder: Path, names: Sequence[str], rounds: int) -> dict[str, dict[str, object]]:
    """A row of figures per voice; a peer that is not installed has one that says how to install it."""
    # Random weights may drive activations into numbers so small that processors slow down; trained ones do not.
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    model, front_end = load("cpu", 1), TextFrontEnd()
    voice = model.info.voices[0]
    sentences = []
    for text in texts:
        silent = Sentence(text, tuple(utterances_of(front_end, text)), 0.0)
        samples = sum(pcm.size for pcm in descant(model, voice, silent))
        sentences.append(Sentence(text, silent.utterances, samples / model.info.sample_rate_hz))
    rows: dict[str, dict[str, object]] = {OURS: {}}
    peers: dict[str, Peer] = {}
    for name in names:
        package, build = PEERS[name]
        try:
            peers[name] = build(text_folder)
        except ImportError:
            rows[name] = {"note": f"not installed: pip install {package}"}
    works: dict[str, Work] = {OURS: lambda piece: descant(model, voice, sentences[piece])}
    spoken_s = {OURS: sum(sentence.seconds for sentence in sentences)}
    for name, peer in peers.items():
        spoken_s[name] = sum(checked(name, peer, sentence) for sentence in sentences) / peer.sample_rate_hz
        works[name] = partial(_say, peer, sentences)
    _, times = in_turns(works, len(sentences), rounds)
    ours = Peer(count(model._network), model.info.sample_rate_hz, True, lambda sentence: iter([]))
    for name, peer in ({OURS: ours} | peers).items():
        rows[name] = _row(name, peer, times, spoken_s[name])
    return rows


def _say(peer: Peer, sentences: Sequence[Sentence], piece: int) -> Iterator[object]:
    return peer.say(sentences[piece])


def _row(name: str, peer: Peer, times: dict[str, list[list[Times]]], audio_s: float) -> dict[str, object]:
    row: dict[str, object] = {
        "weights": "trained" if name == OURS else "random",
        "parameters, M": round(peer.parameters / 1e6, 2),
        "kHz": peer.sample_rate_hz / 1000,
        "streams": "yes" if peer.streams else "no",
        "first audio, ms": round(middle_ms(times, name, "first_s"), 1),
        "real-time factor": round(total_s(times, name, "wall_s") / audio_s, 4),
        "processor s per s": round(total_s(times, name, "processor_s") / audio_s, 4),
    }
    if name != OURS:
        row |= {
            "first audio / ours": ratios(times, name, OURS, "first_s"),
            "seconds / ours": ratios(times, name, OURS, "wall_s"),
            "processor s / ours": ratios(times, name, OURS, "processor_s"),
        }
    return row
