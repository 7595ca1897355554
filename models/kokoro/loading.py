"""From an installed folder to a voice that speaks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from models.importing import UnusableSource
from models.kokoro.conversion.at_rest import VOICES, WEIGHTS, read_config
from models.kokoro.convs import use_bfloat16
from models.kokoro.model import KokoroSynthesizer
from models.kokoro.network import Kokoro
from models.speaking import say
from models.speech import Phone, Utterance
from models.weights import WeightsError, load_weights, read_tensors


def load(
    device: str, max_slots: int, voice_files: Sequence[Path] = (), cuda_graphs: bool = True, folder: Path | None = None
) -> KokoroSynthesizer:
    """An installed Kokoro on ``device``. There is none in the package, and no voice is made from recordings.

    On a CPU that multiplies bfloat16 by itself the decoder's and vocoder's convolutions use it: 0.42 s for a second of speech
    instead of 0.70 on one core with AMX, 36 dB below the speech; another draw of the noise changes three times as much.

    Raises:
        WeightsError: the folder does not fit this code, or there is none.
    """
    if folder is None:
        raise WeightsError("Kokoro is not in the package: install it with `descant models import PATH --name kokoro`")
    try:
        config, vocabulary = read_config(folder)
    except UnusableSource as error:
        raise WeightsError(str(error)) from None
    with torch.device("meta"):
        network = Kokoro(config)
    network.to_empty(device="cpu").requires_grad_(False)
    network.vocoder.spectra.reset()
    load_weights(folder / WEIGHTS, network)
    if device == "cpu" and computes_bfloat16():
        use_bfloat16(network.decoder, network.vocoder)
        network.vocoder.out.float()
    synthesizer = KokoroSynthesizer(network, vocabulary, read_tensors(folder / VOICES), device, max_slots)
    _warm_up(synthesizer)
    return synthesizer


def computes_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 by itself; where it is emulated it is slower than float32."""
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every torch that we support
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _warm_up(synthesizer: KokoroSynthesizer) -> None:
    """Speak a little, so that the first request does not pay for tables and plans."""
    say(synthesizer, synthesizer.info.voices[0], [Utterance(phones=tuple(Phone(symbol) for symbol in ("_", "h", "a", ".")))])
