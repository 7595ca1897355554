"""The embedded voice made to speak like somebody's recordings.

    python -m training.voice.adapt --data DATA --name NAME --gender feminine --out FILE.safetensors

Starts from the package's weights, from the speaker who comes nearest. What phones mean is kept (the
encoder is frozen); durations, pitch and everything at frame rate are trained. The result is a network of its
own with one speaker, so the package's voices cannot be harmed. `descant serve` offers it as one
more voice when the file lies in the folder ``trained-voices`` of the data directory.
"""

import argparse
import copy
import json
import math
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from models.conv_tts.network import ConvTts, position_features
from models.conv_tts.record import Timbre
from models.conv_tts.voices import voices_record
from models.voices import Voice
from models.weights import save_weights
from training.voice.batches import Batch, batches, collate
from training.voice.data import Utterance, load_shards
from training.voice.fast_backward import speed_up
from training.voice.shipped import load_network
from training.voice.train import descend, losses, spectral_grid

STEPS = 300
PEAK_LEARNING_RATE = 7e-4
FRAMES_PER_BATCH = 2000
HELD_OUT_ONE_IN = 12
_WARM_UP_STEPS = 15
_EMA_DECAY = 0.98
_FROZEN = ("phone_embedding", "stress_embedding", "word_start_embedding", "encoder", "attention", "encoder_norm")
_ROWS_PER_SPEAKER = ("speaker_embedding.weight", "decoder_speaker.weight", "speaker_log_f0")
Losses = dict[str, float]


@dataclass(frozen=True, slots=True)
class Adapted:
    network: ConvTts
    nearest_speaker: str
    before: Losses
    """On utterances that were kept from training, as `training.voice.train.losses` weighs them."""
    after: Losses


def of_speaker(network: ConvTts, speaker: int, name: str) -> ConvTts:
    """A copy with one speaker, under another name."""
    single = ConvTts(replace(network.config, speakers=(name,)))
    state = network.state_dict()
    single.load_state_dict(
        {key: value[speaker : speaker + 1] if key in _ROWS_PER_SPEAKER else value for key, value in state.items()}
    )
    return single


def measure(network: ConvTts, utterances: list[Utterance]) -> Losses:
    """Mean losses over utterances."""
    grid = spectral_grid(network.config.cepstrum_order)
    sums: Losses = {}
    with torch.no_grad():
        for utterance in utterances:
            for name, value in losses(network, collate([utterance], 1), grid).items():
                sums[name] = sums.get(name, 0.0) + float(value) / len(utterances)
    return sums


def nearest(network: ConvTts, utterances: list[Utterance], name: str) -> tuple[ConvTts, str]:
    """The speaker of the network who says these utterances most alike, moved to their mean pitch, spectrum and rate."""
    singles = []
    for index, speaker in enumerate(network.config.speakers):
        single = of_speaker(network, index, name)
        set_means(single, utterances)
        singles.append((sum(measure(single, utterances).values()), index, speaker, single))
    _, _, speaker, best = min(singles)
    return best, speaker


def set_means(network: ConvTts, utterances: list[Utterance]) -> None:
    """Take out what can be had without training: the mean errors of log F0, of the cepstrum and of log durations."""
    order = network.config.cepstrum_order
    rows = torch.cat([torch.from_numpy(u.frames.astype("float32")) for u in utterances])
    network.speaker_log_f0[0] = rows[rows[:, order] > 0.3, -1].double().mean()
    batch = collate(utterances, 1)
    with torch.no_grad():
        phones, mask = batch.phones, batch.phone_mask
        encoding = network.encode(phones[..., 0], phones[..., 1], phones[..., 2], batch.speakers, mask)
        spoken = batch.timed * mask[..., 0]
        error = (batch.durations.log() - encoding.log_durations) * spoken
        network.duration_out.bias.add_(error.sum() / spoken.sum())
        cepstrum = _decoded(network, batch, encoding.phones)
        weight = (batch.frame_weight == 1).float()[..., None]
        network.cepstrum_mean.add_(((batch.targets[..., :order] - cepstrum) * weight).sum((0, 1)) / weight.sum())


def _decoded(network: ConvTts, batch: Batch, phones: Tensor) -> Tensor:
    durations = batch.durations.gather(1, batch.frame_phone)
    at = batch.frame_phone[..., None].expand(-1, -1, phones.shape[2])
    positions = position_features(batch.frame_index, durations)
    cepstrum, _, _ = network.decode(phones.gather(1, at), positions, batch.speakers, network.init_state(len(phones)))
    return cepstrum


def adapt(network: ConvTts, utterances: list[Utterance], name: str, steps: int = STEPS, seed: int = 1) -> Adapted:
    """Fine-tune on one speaker's utterances; every twelfth is kept to measure on.

    Raises ValueError: there are fewer than two.
    """
    if len(utterances) < 2:
        raise ValueError("fewer than two utterances")
    kept = utterances[HELD_OUT_ONE_IN // 2 :: HELD_OUT_ONE_IN] or utterances[-1:]
    taught = [u for u in utterances if not any(u is other for other in kept)]
    torch.manual_seed(seed)
    model, speaker = nearest(network, taught[:12], name)
    before = measure(model, kept)
    average = copy.deepcopy(model)
    for key, parameter in model.named_parameters():
        parameter.requires_grad = key.split(".")[0] not in _FROZEN
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    speed_up(model)
    grid = spectral_grid(model.config.cepstrum_order)
    source, started_s = batches(utterances=taught, frames_per_batch=FRAMES_PER_BATCH, speakers=1, seed=seed), time.monotonic()
    for step in range(steps):
        rate = PEAK_LEARNING_RATE * min((step + 1) / _WARM_UP_STEPS, 1) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        parts = losses(model, next(source), grid)
        descend(model, average, optimizer, parts, min(_EMA_DECAY, (1 + step) / (10 + step)))
        if step % 10 == 9 or step == steps - 1:
            row = {key: round(float(value.detach()), 4) for key, value in parts.items()}
            print(json.dumps({"step": step + 1, "elapsed_s": round(time.monotonic() - started_s, 1), **row}), flush=True)
    return Adapted(average, speaker, before, measure(average, kept))


def save_voice(path: Path, network: ConvTts, voice: Voice) -> None:
    """Write the network, half precision, with the voice in its metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"format": "conv_tts/1", **voices_record([voice]), **network.config.to_metadata()}
    save_weights(path, network.state_dict(), metadata, dtype=torch.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that training.voice.recordings wrote")
    parser.add_argument("--name", required=True, help="of the voice, for people")
    parser.add_argument("--description", default="A voice made from recordings")
    parser.add_argument("--gender", choices=("masculine", "feminine", "gender_neutral"), default="gender_neutral")
    parser.add_argument("--locale", default="en-US", help="of the speaker; recordings are in English")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    language = options.locale.partition("-")[0]
    if language != "en":
        parser.error(f"--locale {options.locale}: only English recordings can be learned from")
    torch.set_num_threads(1)
    voice_id = str(uuid.uuid4())
    adapted = adapt(load_network(), load_shards(options.data), voice_id, options.steps, options.seed)
    words = {"name": options.name, "description": options.description, "locale": options.locale, "gender": options.gender}
    voice = Timbre(((voice_id, 1.0),)).to_voice(id=voice_id, language=language, **words)
    save_voice(options.out, adapted.network, voice)
    print(f"nearest speaker of the package: {adapted.nearest_speaker}")
    for name in adapted.before:
        print(f"{name:10} {adapted.before[name]:.4f} -> {adapted.after[name]:.4f} (sentences kept from training)")
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB, voice {options.name!r}, id {voice_id}")


if __name__ == "__main__":
    main()
