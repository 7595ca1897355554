"""A voice made from recordings beside the person who recorded them, on recordings that it was not made from.

    python -m benchmarks.trained_voice --weights FILE.safetensors --folder FOLDER

The folder has audio and transcripts as for `training.voice.recordings`. The voice reads each transcript as in a
request; distortion is measured with the recording's own durations, between what the voice says and the recording's own
frame targets through the same vocoder ("copy"). The nearest voice of the package stands beside it.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import soxr
import torch

from benchmarks.speech_measures import Floats, mel_cepstral_distortion_db, recognise, word_error_percent
from benchmarks.spoken_sentences import EVALUATION_HZ, say, segments_of, timed_segment
from models.base import Synthesizer, Voice
from models.conv_tts.config import SAMPLE_RATE_HZ
from models.conv_tts.vocoder import Vocoder
from models.pitch import track_pitch
from models.registry import load_synthesizer
from server.text.frontend import TextFrontEnd
from training.voice.data import Utterance
from training.voice.recordings import list_recordings, prepare, read_audio
from training.voice.shipped import load_network

_PITCH_HOP = EVALUATION_HZ // 100


def median_f0_hz(recordings: list[Floats]) -> float:
    """Of the voiced frames of audio at 16 kHz."""
    tracks = [track_pitch(pcm.astype(np.float32), EVALUATION_HZ, _PITCH_HOP).f0_hz for pcm in recordings]
    return float(np.median(np.concatenate([track[track > 0] for track in tracks])))


def copy_of(utterance: Utterance, order: int) -> Floats:
    """The utterance's own frames through the vocoder, at 16 kHz."""
    frames = torch.from_numpy(utterance.frames.astype(np.float32))[None]
    vocoder = Vocoder(order)
    with torch.inference_mode():
        samples, _ = vocoder(frames[..., :order], frames[..., order:-1], frames[..., -1].exp(), vocoder.init_state(1))
    return np.asarray(soxr.resample(samples[0].numpy(), SAMPLE_RATE_HZ, EVALUATION_HZ))


def figures_of(
    model: Synthesizer, voice: Voice, texts: list[str], utterances: list[Utterance], copies: list[Floats]
) -> dict[str, float]:
    """What one voice measures."""
    front_end = TextFrontEnd()
    spoken = [say(model, voice, segments_of(front_end, text)).at_16_khz() for text in texts]
    timed = [say(model, voice, [timed_segment(utterance)]).at_16_khz() for utterance in utterances]
    pairs = zip(timed, copies, strict=True)
    return {
        "wer_percent": word_error_percent(texts, [recognise(pcm) for pcm in spoken]),
        "distortion_db": float(np.mean([mel_cepstral_distortion_db(one, other) for one, other in pairs])),
        "f0_hz": median_f0_hz(spoken),
        "seconds": sum(len(pcm) for pcm in spoken) / EVALUATION_HZ,
    }


def evaluate(weights: Path, folder: Path) -> dict[str, object]:
    """The figures of the recordings, of the trained voice and of each single speaker of the package."""
    recordings, _ = list_recordings(folder)
    network = load_network()
    prepared = dict(prepare(recordings, network)[0])
    used = [recording for recording in recordings if recording.name in prepared]
    texts, utterances = [recording.text for recording in used], [prepared[recording.name] for recording in used]
    sources = [soxr.resample(*read_audio(recording.path), EVALUATION_HZ) for recording in used]
    copies = [copy_of(utterance, network.config.cepstrum_order) for utterance in utterances]
    model = load_synthesizer("conv_tts", "cpu", 1, [weights])
    singles = [voice for voice in model.info.voices if len(voice.speakers) == 1 and not voice.network]
    others = {voice.name: figures_of(model, voice, texts, utterances, copies) for voice in singles}
    return {
        "recordings": {
            "wer_percent": word_error_percent(texts, [recognise(pcm) for pcm in sources]),
            "copy_wer_percent": word_error_percent(texts, [recognise(pcm) for pcm in copies]),
            "f0_hz": median_f0_hz(sources),
            "seconds": sum(len(pcm) for pcm in sources) / EVALUATION_HZ,
        },
        "voice": figures_of(model, model.info.voices[-1], texts, utterances, copies),
        "nearest_of_the_package": min(others.items(), key=lambda item: item[1]["distortion_db"]),
        "sentences": len(texts),
        "sentences_sha256": hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="recordings that the voice was not made from")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(evaluate(options.weights, options.folder), indent=2))


if __name__ == "__main__":
    main()
