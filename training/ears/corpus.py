"""Make the ears' training data: shards of log-mel spectra, frame-level phone labels and transcripts.

    python -m training.ears.corpus --text-folder TEXT --out data/ears --hours 60

Shards are independent (seeded by their number) and written whole, so the command can be stopped and
given again; the trainer reads whichever exist. A shard of 1.2 hours takes 15 to 25 s on one core.

``mels-0007.npy``     float16 [all frames, 80], log10 of mel power, 20 ms per frame
``phones-0007.npy``   uint8 [all frames], index into ``phones`` of the json, 255 where unknown
``items-0007.json``   {"phones": [...], "items": [{"text", "frames", "engine", "voice", "previous"}]}
``noise.npy``         float16 [frames, 80], log10 mel power of unit-variance noises, to be mixed in training
``evaluation.npz``    a few held-out sentences for the curve of the report
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.whisper.features import MEL_POWER_FLOOR, mel_power
from training.ears import effects, noises
from training.ears.speech import SAMPLE_RATE_HZ, Speaker, Utterance
from training.ears.spoken_strings import spoken_string
from training.ears.voices import draw_settings, held_out_settings
from training.sentences import held_out, load_prose, load_sentences

Floats = NDArray[np.float32]
_WORD = re.compile(r"[a-z][a-z']*[a-z]")
ITEMS_PER_SHARD = 1000
MAX_ITEM_S = 15.0
WORDLESS_SHARE = 0.07
CHAIN_SHARE = 0.25
CUT_SHARE = 0.12
"""Of espeak-ng's items: they break off between two words, as a stream does while somebody is speaking."""
LOOSE_WORDS_SHARE = 0.07
"""Rare words as often as common ones, in an order that no language model guesses: they have to be heard and spelt."""
SPOKEN_STRING_SHARE = 0.08
UNKNOWN_PHONE = 255
PHONE_SET = {"flite": "flite", "festival": "flite", "espeak": "espeak"}
"""Whose phone symbols an engine's labels are: Festival's are flite's."""
NOISE_BANK_S = 2400
EVALUATION_KINDS = ("espeak variants", "espeak settings", "flite settings", "flite kal16")


class Texts:
    """Random texts: mostly single sentences, some chains, some numbers, spellings, addresses and loose words."""

    def __init__(self, folder: Path) -> None:
        self._sentences = [s for s in load_sentences(folder) if not held_out(s) and not _has_digit(s)]
        self._prose = [s for s in load_prose(folder, max_characters=160) if not held_out(s) and not _has_digit(s)]
        self._words = sorted({word for text in (*self._sentences, *self._prose) for word in _WORD.findall(text.lower())})

    def sentence(self, rng: np.random.Generator) -> str:
        kind = rng.random()
        if kind < SPOKEN_STRING_SHARE:
            return spoken_string(rng, self._words)
        if kind < SPOKEN_STRING_SHARE + LOOSE_WORDS_SHARE:
            return " ".join(rng.choice(self._words, int(rng.integers(2, 8)))).capitalize() + "."
        pool = self._prose if kind < 0.4 and self._prose else self._sentences
        return pool[int(rng.integers(len(pool)))]

    def draw(self, rng: np.random.Generator) -> str:
        text = self.sentence(rng)
        if rng.random() < CHAIN_SHARE:
            for _ in range(int(rng.integers(1, 4))):
                longer = f"{text} {self.sentence(rng)}"
                if len(longer) > 190:
                    break
                text = longer
        return text


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _pad(utterance: Utterance, rng: np.random.Generator) -> Utterance:
    """Silence before and after, a random part of the synthesiser's own silence cut off."""
    pcm, phones = utterance.pcm, utterance.phones
    loud = np.flatnonzero(np.abs(pcm) > 0.01)
    if len(loud) and rng.random() < 0.5:
        first = max(0, int(loud[0]) - int(rng.uniform(0.02, 0.3) * SAMPLE_RATE_HZ)) // 320
        last = min(len(pcm), int(loud[-1]) + int(rng.uniform(0.05, 0.4) * SAMPLE_RATE_HZ)) // 320
        pcm, phones = pcm[first * 320 : last * 320], phones[first:last]
    before, after = (int(n) for n in rng.integers(0, 45, 2) * (rng.random(2) < 0.6))
    padded = np.pad(pcm[: len(phones) * 320], (before * 320, after * 320))
    return Utterance(padded.astype(np.float32), ["pau"] * before + phones + ["pau"] * after)


def _cut(text: str, utterance: Utterance, rng: np.random.Generator) -> tuple[str, Utterance]:
    """The start of an utterance, up to 80 ms into the word after the cut; its text without closing marks."""
    first, start = utterance.words[int(rng.integers(1, len(utterance.words)))]
    frames = min((start + int(rng.uniform(-0.02, 0.08) * SAMPLE_RATE_HZ)) // 320, len(utterance.phones))
    kept = Utterance(utterance.pcm[: frames * 320], utterance.phones[:frames])
    return text[:first].rstrip(" .,;:!?-\"'"), kept


class ShardMaker:
    def __init__(self, texts: Texts, flite_share: float, festival_share: float) -> None:
        self._texts = texts
        self._shares = flite_share, festival_share
        self._speaker = Speaker()
        self._recent: list[Floats] = []

    def speech(self, rng: np.random.Generator) -> tuple[Floats, list[str], dict[str, str]] | None:
        settings, text = draw_settings(rng, *self._shares), self._texts.draw(rng)
        utterance = self._speaker.say(text, settings)
        if len(utterance.words) > 2 and rng.random() < CUT_SHARE:
            text, utterance = _cut(text, utterance, rng)
        else:
            utterance = _pad(utterance, rng)
        if not 0.4 * SAMPLE_RATE_HZ < len(utterance.pcm) <= MAX_ITEM_S * SAMPLE_RATE_HZ:
            return None
        self._recent = [*self._recent[-60:], utterance.pcm]
        pcm = self._through_the_air(utterance.pcm, rng)
        previous = self._texts.sentence(rng) if rng.random() < 0.12 else ""
        item = {"text": text, "engine": settings.engine, "voice": settings.voice, "previous": previous}
        return pcm, [f"{PHONE_SET[settings.engine]}:{symbol}" for symbol in utterance.phones], item

    def _through_the_air(self, pcm: Floats, rng: np.random.Generator) -> Floats:
        if rng.random() < 0.12:
            pcm = effects.reverberate(pcm, rng)
        pcm = effects.set_peak(pcm, float(10 ** rng.uniform(-0.5, 0)))
        if rng.random() < 0.1:
            noise = noises.noise(rng, len(pcm))
            if rng.random() < 0.4:
                noise = noises.babble(rng, self._recent, len(pcm), int(rng.integers(3, 8)))
            pcm = effects.add_noise(pcm, noise, float(rng.uniform(5, 25)))
        if rng.random() < 0.18:
            pcm = effects.telephone(np.clip(pcm, -1, 1) * np.float32(10 ** rng.uniform(-1, 0)))
        dither = np.float32(10 ** rng.uniform(-5, -3.3))
        return (pcm + dither * rng.standard_normal(len(pcm))).astype(np.float32)

    def wordless(self, rng: np.random.Generator) -> tuple[Floats, list[str], dict[str, str]]:
        samples = int(rng.uniform(0.5, 8.0) * SAMPLE_RATE_HZ) // 320 * 320
        if rng.random() < 0.12 and len(self._recent) > 20:
            signal, kind = noises.babble(rng, self._recent, samples, int(rng.integers(6, 14))), "babble"
        else:
            signal, kind = noises.wordless(rng, samples), "noise"
        pcm: Floats = signal * np.float32(0.25 * 10 ** rng.uniform(-2.2, 0))
        if rng.random() < 0.2:
            pcm = effects.telephone(np.clip(pcm, -1, 1))
        pcm = pcm + np.float32(10 ** rng.uniform(-5.5, -4)) * rng.standard_normal(samples).astype(np.float32)
        item = {"text": "", "engine": "none", "voice": kind, "previous": ""}
        return pcm, ["none:"] * (samples // 320), item

    def make(self, seed: int, folder: Path, number: int) -> float:
        """Write one shard; gives its hours."""
        rng = np.random.default_rng([seed, number])
        self._recent = []  # so that a shard depends on its number only
        symbols: dict[str, int] = {}
        mels: list[NDArray[np.float16]] = []
        labels: list[NDArray[np.uint8]] = []
        items: list[dict[str, str | int]] = []
        while len(items) < ITEMS_PER_SHARD:
            made = self.wordless(rng) if rng.random() < WORDLESS_SHARE else self.speech(rng)
            if made is None:
                continue
            pcm, phones, item = made
            mel = log10_mel(pcm)
            frames = min(len(mel), len(phones))
            ids = [UNKNOWN_PHONE if p == "none:" else symbols.setdefault(p, len(symbols)) for p in phones[:frames]]
            mels.append(mel[:frames])
            labels.append(np.array(ids, np.uint8))
            items.append({**item, "frames": frames})
        np.save(folder / f"mels-{number:04}.npy", np.concatenate(mels))
        np.save(folder / f"phones-{number:04}.npy", np.concatenate(labels))
        content = json.dumps({"phones": list(symbols), "items": items})
        temporary = folder / f"items-{number:04}.tmp"
        temporary.write_text(content, encoding="utf-8")
        temporary.rename(folder / f"items-{number:04}.json")  # last: the shard exists from here on
        return sum(len(mel) for mel in mels) * 0.02 / 3600

    def make_noise_bank(self, seed: int, folder: Path) -> None:
        rng = np.random.default_rng([seed, 10**6])
        while len(self._recent) < 60:
            self.speech(rng)
        pieces = []
        for _ in range(NOISE_BANK_S // 10):
            samples = 10 * SAMPLE_RATE_HZ
            if rng.random() < 0.3:
                signal = noises.babble(rng, self._recent, samples, int(rng.integers(3, 12)))
            else:
                signal = noises.wordless(rng, samples) if rng.random() < 0.4 else noises.noise(rng, samples)
            pieces.append(log10_mel(noises.unit(signal) + np.float32(1e-3) * noises.noise(rng, samples)))
        np.save(folder / "noise.npy", np.concatenate(pieces))

    def make_evaluation(self, folder: Path, sentences: list[str]) -> None:
        """Held-out sentences by held-out voices, as waves."""
        waves, texts, kinds = [], [], []
        for kind in EVALUATION_KINDS:
            voices = held_out_settings(kind)
            for index, sentence in enumerate(sentences):
                pcm = self._speaker.say(sentence, voices[index % len(voices)]).pcm * np.float32(0.7)
                waves.append((pcm * 32767).astype(np.int16))
                texts.append(sentence)
                kinds.append(kind)
        lengths = np.array([len(w) for w in waves])
        np.savez(
            folder / "evaluation.npz", waves=np.concatenate(waves), lengths=lengths,
            texts=np.array(texts), kinds=np.array(kinds),
        )  # fmt: skip


def log10_mel(pcm: Floats) -> NDArray[np.float16]:
    return np.log10(np.maximum(mel_power(pcm), MEL_POWER_FLOOR)).astype(np.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--text-folder", type=Path, required=True, help="folder with sentences.en.txt")
    parser.add_argument("--out", type=Path, default=Path("data/ears"))
    parser.add_argument("--hours", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--first-shard", type=int, default=0)
    parser.add_argument("--shard-step", type=int, default=1, help="2 in two processes makes every other shard")
    parser.add_argument("--flite-share", type=float, default=0.33, help="flite takes ten times longer than espeak-ng")
    parser.add_argument("--festival-share", type=float, default=0.0, help="of items by Festival's diphone voice")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    maker = ShardMaker(Texts(arguments.text_folder), arguments.flite_share, arguments.festival_share)
    if arguments.first_shard == 0 and not (arguments.out / "evaluation.npz").exists():
        maker.make_noise_bank(arguments.seed, arguments.out)
        kept = [s for s in load_sentences(arguments.text_folder) if held_out(s) and not _has_digit(s)]
        maker.make_evaluation(arguments.out, kept[:40])
    hours, number = 0.0, arguments.first_shard
    while hours * arguments.shard_step < arguments.hours:
        items = arguments.out / f"items-{number:04}.json"
        started = time.monotonic()
        if items.exists():
            hours += sum(i["frames"] for i in json.loads(items.read_text("utf-8"))["items"]) * 0.02 / 3600
        else:
            hours += maker.make(arguments.seed, arguments.out, number)
        print(f"shard {number}: {hours:.2f} h, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        number += arguments.shard_step


if __name__ == "__main__":
    main()
