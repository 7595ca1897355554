"""From a folder of recordings to a voice, with espeak-ng as the person who speaks."""

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cartesia import Cartesia
from numpy.typing import NDArray

from models.conv_tts.config import EDGE_PAUSE_FRAMES, FRAME_MS
from models.conv_tts.network import ConvTts
from models.conv_tts.record import Timbre
from models.phones import PHONES
from models.pitch import track_pitch
from server.bench.process import ServerProcess
from training.ears.synthesizers import Espeak
from training.voice.acoustics import pack
from training.voice.adapt import adapt, save_voice
from training.voice.aligner import Alignment, SpokenPhone, align, align_recordings, speaker_features
from training.voice.analysis import analyse
from training.voice.recordings import (
    LEVEL_DB,
    Recording,
    Unusable,
    check_sound,
    first_models,
    list_recordings,
    prepare,
    read_audio,
    to_utterance,
)
from training.voice.shipped import load_network, read_phones

TEXTS = (
    "The boy was there when the sun rose.",
    "A large size in stockings is hard to sell.",
    "Read the number 42, then close the book.",
    "She had your dark suit in greasy wash water all year.",
    "We find joy in the simplest things.",
    "The fish twisted and turned on the bent hook.",
)


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path
    network: ConvTts
    word_starts: dict[str, list[int]]
    """By name of a recording, in samples."""
    rate_hz: int


def write_wav(path: Path, pcm: NDArray[np.int16], rate_hz: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm.tobytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    path = tmp_path_factory.mktemp("recordings")
    espeak = Espeak()
    starts = {}
    for number, text in enumerate(TEXTS):
        spoken = espeak.speak(text, "gmw/en-US", rate=150)
        write_wav(path / f"{number}.wav", spoken.pcm, spoken.sample_rate_hz)
        (path / f"{number}.txt").write_text(text + "\n", "utf-8")
        starts[str(number)] = [start for _, start in spoken.words]
    return Folder(path, load_network(), starts, espeak.sample_rate_hz)


def test_every_file_is_used_or_named_with_the_reason(folder: Folder, tmp_path: Path) -> None:
    for file in folder.path.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "5.txt").write_text("Nobody said anything of this kind at all, and certainly not so.", "utf-8")
    (tmp_path / "alone.txt").write_text("There is no audio.", "utf-8")
    (tmp_path / "mute.wav").write_bytes((tmp_path / "0.wav").read_bytes())
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    (tmp_path / "broken.txt").write_text("Broken.", "utf-8")
    (tmp_path / "dots.wav").write_bytes((tmp_path / "0.wav").read_bytes())
    (tmp_path / "dots.txt").write_text("...", "utf-8")
    recordings, unmatched = list_recordings(tmp_path)
    used, unusable = prepare(recordings, folder.network)
    reasons = {entry.name: entry.reason for entry in [*unmatched, *unusable]}
    assert [name for name, _ in used] == ["0", "1", "2", "3", "4"]
    assert set(reasons) == {"5", "alone", "mute", "broken", "dots"}
    assert "something else is said than its transcript" in reasons["5"]
    assert "no audio file" in reasons["alone"]
    assert reasons["mute"] == "no transcript"
    assert "cannot be read" in reasons["broken"]
    assert reasons["dots"] == "nothing in its transcript is spoken"


def test_metadata_names_files_of_the_folder_only(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"")
    inside = tmp_path / "inside"
    (inside / "wavs").mkdir(parents=True)
    (inside / "wavs" / "one.wav").write_bytes(b"")
    lines = ["one|$5 only|five dollars only", "../secret|words", "no bar in this line", ""]
    (inside / "metadata.csv").write_text("\n".join(lines), "utf-8")
    recordings, skipped = list_recordings(inside)
    assert recordings == [Recording("one", inside / "wavs" / "one.wav", "five dollars only")]
    assert {entry.name for entry in skipped} == {"../secret", "metadata.csv line 3"}


def test_numbers_are_read_as_the_server_reads_them() -> None:
    symbols = [phone.symbol for phone in read_phones("Read the number 42, then close the book.")]
    assert [phone.symbol for phone in read_phones("forty two")][:4] == symbols[symbols.index("f") :][:4]
    assert symbols.count(",") == 1
    assert symbols[-1] == "."


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda pcm: pcm[:4000], "0.2 s long"),
        (lambda pcm: np.tile(pcm, 12), "s long"),
        (lambda pcm: (pcm * 20).clip(-1, 1), "clipped"),
        (lambda pcm: pcm + np.random.default_rng(1).normal(size=len(pcm)) * 0.05, "noisy"),
        (lambda pcm: pcm * 1e-4, "silent"),
    ],
)
def test_unusable_sound_is_refused(folder: Folder, change: object, reason: str) -> None:
    pcm, rate_hz = read_audio(folder.path / "0.wav")
    assert callable(change)
    with pytest.raises(Unusable, match=reason):
        check_sound(change(pcm), rate_hz)


def test_sound_is_trimmed_and_brought_to_one_level(folder: Folder) -> None:
    pcm, rate_hz = read_audio(folder.path / "0.wav")
    padded = np.concatenate([np.zeros(rate_hz), 0.1 * pcm, np.zeros(2 * rate_hz)])
    kept = check_sound(padded, rate_hz)
    assert len(pcm) / rate_hz - 0.4 < len(kept) / rate_hz < len(pcm) / rate_hz + 0.4
    hop = rate_hz // 100
    power = np.square(kept[: len(kept) // hop * hop].reshape(-1, hop)).mean(1)
    assert abs(10 * np.log10(power[power > power.max() / 1000].mean()) - LEVEL_DB) < 1.5


def test_alignment_finds_the_words(folder: Folder) -> None:
    frames, transcripts = [], []
    for number, text in enumerate(TEXTS):
        pcm, rate_hz = read_audio(folder.path / f"{number}.wav")
        frames.append(pack(*analyse(pcm, rate_hz, folder.network.config.cepstrum_order)))
        transcripts.append(read_phones(text))
    features = speaker_features(frames, folder.network.config.cepstrum_order)
    models = first_models(folder.network, transcripts)
    found = align_recordings(features, transcripts, models)
    errors_ms = []
    for number, alignment in enumerate(found):
        ends = np.cumsum(alignment.durations_frames)
        assert ends[-1] == len(frames[number])
        starts = [int(end - n) for phone, end, n in zip(alignment.phones, ends, alignment.durations_frames, strict=True)
                  if phone.starts_word]  # fmt: skip
        true = [start * 1000 / folder.rate_hz for start in folder.word_starts[str(number)]]
        if len(starts) == len(true):  # espeak-ng counts some pairs of words as one
            errors_ms += [abs(start * FRAME_MS - at) for start, at in zip(starts, true, strict=True)]
    assert len(errors_ms) >= 20
    assert np.median(errors_ms) <= 15
    assert np.quantile(errors_ms, 0.9) <= 60
    wrong, _ = align(models, features[0], transcripts[4])
    assert wrong.mismatch > 2 * max(alignment.mismatch for alignment in found)


def pauses_ms(alignment: Alignment) -> list[int]:
    """Lengths of the pauses between words that no punctuation announces, and a 0."""
    pairs = list(zip(alignment.phones, alignment.durations_frames, strict=True))[1:]
    return [0, *(int(frames) * FRAME_MS for phone, frames in pairs if phone.symbol == "_")]


def test_pauses_are_found_where_they_are_and_not_where_they_are_not(folder: Folder) -> None:
    pcm, rate_hz = read_audio(folder.path / "3.wav")
    middle = int(folder.word_starts["3"][5])
    paused = np.concatenate([pcm[:middle], np.zeros(rate_hz // 3), pcm[middle:]])
    order = folder.network.config.cepstrum_order
    transcript = read_phones(TEXTS[3])
    models = first_models(folder.network, [read_phones(text) for text in TEXTS])
    features = speaker_features([pack(*analyse(sound, rate_hz, order)) for sound in (pcm, paused)], order)
    plain, broken = (align(models, x, transcript)[0] for x in features)
    assert max(pauses_ms(broken)) > 250
    assert sum(pauses_ms(plain)) < 100


def test_edges_of_an_example_are_cut_to_the_voice_s_own_pauses() -> None:
    phones = (SpokenPhone("_"), SpokenPhone("h", 0, True), SpokenPhone("i"), SpokenPhone("."))
    frames = np.zeros((200, 38), dtype=np.float16)
    frames[:, 0] = np.arange(200)
    utterance = to_utterance(0, frames, Alignment(phones, np.array([50, 10, 20, 120]), 0.0))
    assert list(utterance.durations_frames) == [EDGE_PAUSE_FRAMES, 10, 20, 24]
    assert utterance.frames[0, 0] == 50 - EDGE_PAUSE_FRAMES
    assert len(utterance.frames) == utterance.durations_frames.sum()
    bare = to_utterance(0, frames, Alignment(phones[1:], np.array([60, 20, 120]), 0.0))
    assert [PHONES[index] for index in bare.phones[:, 0]] == ["_", "h", "i", "."]
    assert list(bare.durations_frames) == [1, 59, 20, 24]


def test_the_recipe_makes_a_voice_that_a_server_speaks_with(folder: Folder, tmp_path: Path) -> None:
    used, _ = prepare(list_recordings(folder.path)[0], folder.network)
    adapted = adapt(folder.network, [utterance for _, utterance in used], "id-1", steps=3)
    assert adapted.nearest_speaker in folder.network.config.speakers
    assert adapted.after["spectrum"] < adapted.before["spectrum"]
    file = tmp_path / "trained-voices" / "anybody.safetensors"
    save_voice(file, adapted.network, Timbre((("id-1", 1.0),)).to_voice(id="id-1", name="Anybody"))
    lowest_band = folder.network.config.cepstrum_order
    recorded = np.concatenate([u.frames[u.frames[:, lowest_band] > 0.3, -1] for _, u in used]).astype(np.float64).mean()
    assert abs(float(adapted.network.speaker_log_f0[0]) - recorded) < 0.05
    with (
        ServerProcess.start("--device=cpu", environment={"DESCANT_DATA_DIR": str(tmp_path)}) as server,
        Cartesia(api_key="any", base_url=server.url, websocket_base_url=server.websocket_url) as client,
    ):
        assert [voice.name for voice in client.voices.list()].count("Anybody") == 1
        audio: Any = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
        answer = client.tts.generate(model_id="sonic-turbo", transcript=TEXTS[0], voice="id-1", output_format=audio)
        spoken = np.frombuffer(answer.read(), "<i2") / 32768
    f0_hz = track_pitch(spoken.astype(np.float32), 16000, 80).f0_hz
    assert abs(np.log(f0_hz[f0_hz > 0]).mean() - recorded) < 0.15
