"""The embedded voice as a starting point: its network, what it reads in a text, and what it would say."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.conv_tts.config import EDGE_PAUSE_FRAMES, ConvTtsConfig
from models.conv_tts.model import WEIGHTS
from models.conv_tts.network import ConvTts, pitch_at, position_features
from models.weights import load_weights, read_metadata
from server.engine.speech.text_feed import read_whole
from server.text.frontend import TextFrontEnd
from training.voice.aligner import Alignment, SpokenPhone
from training.voice.data import PHONE_INDEX


def load_network(path: Path | None = None) -> ConvTts:
    """A network from a safetensors file; the package's own without one. Raises WeightsError."""
    if path is None:
        with as_file(files("models.conv_tts") / "weights" / WEIGHTS) as shipped:
            return load_network(shipped)
    network = ConvTts(ConvTtsConfig.from_metadata(read_metadata(path)))
    load_weights(path, network)
    return network.eval()


@cache
def _front_end() -> TextFrontEnd:
    return TextFrontEnd()


def read_phones(text: str) -> list[SpokenPhone]:
    """A transcript as the server would speak it, with the pauses of its punctuation; empty if nothing in it is spoken."""
    pieces = read_whole(_front_end(), text)
    phones = [phone for piece in pieces for phone in piece.utterance.phones if phone.duration_ms is None]
    return [SpokenPhone(phone.symbol, phone.stress, phone.starts_word) for phone in phones]


def phone_rows(phones: Sequence[SpokenPhone]) -> NDArray[np.int16]:
    """[P, 3] as `training.voice.data.Utterance` keeps them: index, stress, word start."""
    return np.array([(PHONE_INDEX[p.symbol], p.stress, p.starts_word) for p in phones], dtype=np.int16).reshape(-1, 3)


@torch.inference_mode()
def predict(network: ConvTts, speaker: int, phones: Sequence[SpokenPhone]) -> tuple[NDArray[np.float32], Alignment]:
    """What a speaker of the network would say: frame targets [T, order + bands + 1] and where the phones are in them.

    A pause of 20 ms is put before the first word if there is none.
    """
    if not phones[0].is_pause:
        phones = [SpokenPhone("_"), *phones]
    rows = torch.from_numpy(phone_rows(phones).astype(np.int64))[None]
    speakers = torch.zeros(1, len(network.config.speakers))
    speakers[0, speaker] = 1
    encoding = network.encode(rows[..., 0], rows[..., 1], rows[..., 2], speakers, torch.ones(1, len(phones), 1))
    durations = encoding.log_durations[0].exp().round().clamp(1, 400).to(torch.int64)
    durations[0] = EDGE_PAUSE_FRAMES
    owner = torch.repeat_interleave(torch.arange(len(phones)), durations)
    index = torch.arange(len(owner)) - (durations.cumsum(0) - durations)[owner]
    length = durations[owner]
    positions = position_features(index, length)[None]
    cepstrum, voicing, _ = network.decode(encoding.phones[:, owner], positions, speakers, network.init_state(1))
    contour = pitch_at(encoding.pitch, owner[None], ((index + 0.5) / length)[None])
    log_f0 = network.speaker_log_f0[speaker] + network.pitch_spread * contour
    frames = torch.cat((cepstrum, voicing, log_f0[..., None]), 2)[0].numpy()
    return frames, Alignment(tuple(phones), durations.numpy(), 0.0)
