"""A voice made from recordings beside the person who recorded them, on recordings that it was not made from.

    python -m benchmarks.trained_voice --weights FILE.safetensors --folder FOLDER

The folder has audio and transcripts as for `training.voice.recordings`. A server is started with the file among its
trained voices; the Cartesia SDK lets it read every transcript, with this voice and with the nearest one of the package,
and transcribe what came back and the recordings themselves. pocketsphinx, which knows none of them, hears all too.
Distortion and pitch error are measured with the recording's own durations, between what the voice says and the
recording's own frame targets through the same vocoder ("copy").
"""

import argparse
import hashlib
import io
import json
import shutil
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from cartesia import Cartesia

from benchmarks.speech_measures import (
    Floats,
    mel_cepstral_distortion_db,
    pitch_error_cents,
    plain_words,
    recognise,
    word_error_percent,
)
from benchmarks.spoken_sentences import EVALUATION_HZ, say, timed_utterance
from models.conv_tts.config import SAMPLE_RATE_HZ
from models.conv_tts.record import Timbre
from models.conv_tts.vocoder import Vocoder
from models.pitch import track_pitch
from models.registry import load_synthesizer
from models.speech import Synthesizer
from models.voices import Voice
from server.bench.process import ServerProcess
from training.voice.data import Utterance
from training.voice.recordings import list_recordings, prepare, read_audio
from training.voice.shipped import load_network

_PITCH_HOP = EVALUATION_HZ // 100


class Client:
    """What an application has: the SDK and the address of a server."""

    def __init__(self, server: ServerProcess) -> None:
        self._sdk = Cartesia(api_key="any", base_url=server.url, websocket_base_url=server.websocket_url)

    def speak(self, text: str, voice_id: str) -> Floats:
        """At 16 kHz."""
        audio: Any = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": EVALUATION_HZ}
        answer = self._sdk.tts.generate(model_id="sonic-turbo", transcript=text, voice=voice_id, output_format=audio)
        return np.frombuffer(answer.read(), "<i2") / 32768

    def hear(self, pcm_16k: Floats) -> str:
        """Plain words."""
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(EVALUATION_HZ)
            out.writeframes((pcm_16k.clip(-1, 1) * 32767).astype("<i2").tobytes())
        return plain_words(self._sdk.stt.transcribe(file=("heard.wav", file.getvalue()), model="ink-whisper").text)


def heard_figures(client: Client, texts: list[str], sounds: list[Floats]) -> dict[str, float]:
    """Errors of both recognisers, median F0 and length."""
    tracks = [track_pitch(pcm.astype(np.float32), EVALUATION_HZ, _PITCH_HOP).f0_hz for pcm in sounds]
    return {
        "wer_percent": word_error_percent(texts, [recognise(pcm) for pcm in sounds]),
        "wer_by_the_server_percent": word_error_percent(texts, [client.hear(pcm) for pcm in sounds]),
        "f0_hz": float(np.median(np.concatenate([track[track > 0] for track in tracks]))),
        "seconds": sum(len(pcm) for pcm in sounds) / EVALUATION_HZ,
    }


def timed_figures(model: Synthesizer, voice: Voice, utterances: list[Utterance], copies: list[Floats]) -> dict[str, float]:
    """Distances from the copies, with their durations."""
    timed = [say(model, voice, [timed_utterance(utterance)]).at_16_khz() for utterance in utterances]
    pairs = list(zip(timed, copies, strict=True))
    return {
        "distortion_db": float(np.mean([mel_cepstral_distortion_db(one, other) for one, other in pairs])),
        "pitch_error_cents": float(np.nanmean([pitch_error_cents(one, other) for one, other in pairs])),
    }


def copy_of(utterance: Utterance, order: int) -> Floats:
    """The utterance's own frames through the vocoder, at 16 kHz."""
    frames = torch.from_numpy(utterance.frames.astype(np.float32))[None]
    vocoder = Vocoder(order)
    with torch.inference_mode():
        samples, _ = vocoder(frames[..., :order], frames[..., order:-1], frames[..., -1].exp(), vocoder.init_state(1))
    return np.asarray(soxr.resample(samples[0].numpy(), SAMPLE_RATE_HZ, EVALUATION_HZ))


def nearest(model: Synthesizer, voices: Sequence[Voice], utterances: list[Utterance], copies: list[Floats]) -> Voice:
    """The voice with the least distortion."""
    return min(voices, key=lambda voice: timed_figures(model, voice, utterances, copies)["distortion_db"])


def evaluate(weights: Path, folder: Path) -> dict[str, object]:
    """The figures of the recordings, of the trained voice and of the package's nearest single speaker."""
    recordings, _ = list_recordings(folder)
    network = load_network()
    prepared = dict(prepare(recordings, network)[0])
    used = [recording for recording in recordings if recording.name in prepared]
    texts, utterances = [recording.text for recording in used], [prepared[recording.name] for recording in used]
    sources = [soxr.resample(*read_audio(recording.path), EVALUATION_HZ) for recording in used]
    copies = [copy_of(utterance, network.config.cepstrum_order) for utterance in utterances]
    model = load_synthesizer("conv_tts", "cpu", 1, [weights])
    trained = model.info.voices[-1]
    timbres = {voice.name: Timbre.of(voice.record) for voice in model.info.voices}
    singles = [v for v in model.info.voices if len(timbres[v.name].speakers) == 1 and not timbres[v.name].network]
    other = nearest(model, singles, utterances, copies)
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="descant-") as data_dir:
        (place := Path(data_dir) / "trained-voices").mkdir()
        shutil.copy(weights, place)
        with ServerProcess.start("--device=cpu", environment={"DESCANT_DATA_DIR": data_dir}) as server:
            client = Client(server)
            figures["recordings"] = heard_figures(client, texts, sources)
            for name, voice in (("voice", trained), (f"nearest of the package, {other.name}", other)):
                said = heard_figures(client, texts, [client.speak(text, voice.id) for text in texts])
                figures[name] = said | timed_figures(model, voice, utterances, copies)
    return figures | {
        "sentences": len(texts),
        "words": sum(len(plain_words(text).split()) for text in texts),
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
