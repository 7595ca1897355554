"""Long texts: whether every sentence is there and the last word is spoken.

    python -m benchmarks.long_texts --text-folder FOLDER [--passages 10] [--voice Marcus]

Passages of 400 to 1000 words, made of prose and sentences that training never saw, go through the text front end as one
request each and are spoken in chunks. The audio is cut where the model says that a sentence starts and ends, and heard
by pocketsphinx; what that misses, the embedded ears hear too. Words that pocketsphinx does not know, mostly names, are
put into its dictionary first, as the front end pronounces them. A sentence is there if some run of the words that are
heard is the sentence with at most 45 % of its letters wrong (edit distance), which the text of the sentence after it,
taken as a control, hardly ever passes. The last word is spoken if it ends what is heard, with less than half of its
letters wrong.

Prints one line per passage, then JSON, which is also appended to benchmarks/results/ unless ``--no-record`` is given.
"""

import argparse
import hashlib
import json
import re
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
import soxr
import torch

from benchmarks.result_lines import publish
from benchmarks.speech_measures import Floats, plain_words, recognise, teach_word
from benchmarks.spoken_sentences import EVALUATION_HZ, Spoken, say
from models.conv_tts.config import SAMPLE_RATE_HZ
from models.conv_tts.model import load
from models.hearing import RecognitionWindow, Recognizer
from models.registry import load_recognizer
from models.speech import Synthesizer
from models.voices import Voice
from server.engine.speech.text_feed import read_whole
from server.text.frontend import TextFrontEnd, TextSegment
from training.sentences import held_out, load_prose, load_sentences
from training.voice.data import read_words

PASSAGE_WORDS = (400, 450, 500, 550, 600, 650, 700, 800, 900, 1000)
MOST_LETTERS_WRONG = 0.45
MOST_OF_LAST_WORD_WRONG = 0.45


def passages(folder: Path, sizes_words: tuple[int, ...] = PASSAGE_WORDS) -> Iterator[list[str]]:
    """Texts as lists of sentences; prose first, then single sentences, none of them used twice."""
    prose = (s for s in load_prose(folder) if held_out(s))
    single = (s for s in load_sentences(folder) if held_out(s))
    sentences = (s if s[-1] in ".?!" else f"{s}." for texts in (prose, single) for s in texts if len(plain_words(s)) >= 8)
    for size in sizes_words:
        passage: list[str] = []
        while sum(len(sentence.split()) for sentence in passage) < size:
            sentence = next(sentences, None)
            if sentence is None:
                return
            passage.append(sentence)
        yield passage


@dataclass(frozen=True, slots=True)
class Cut:
    """A sentence of a passage and its sound at 16 kHz."""

    text: str
    pcm: Floats


def speak_passage(model: Synthesizer, front_end: TextFrontEnd, voice: Voice, sentences: list[str]) -> tuple[Spoken, list[Cut]]:
    """One request; the sound of each sentence lies between the first and the last of its phones."""
    starts = np.cumsum([0, *(len(sentence) + 1 for sentence in sentences)])[:-1].tolist()
    pieces = read_whole(front_end, " ".join(sentences))
    spoken = say(model, voice, [piece.utterance for piece in pieces])
    spans: dict[int, tuple[int, int]] = {}
    place = 0
    for piece in pieces:
        for phone in piece.utterance.phones:
            time, place = spoken.times[place], place + 1
            if phone.word >= 0:
                sentence = bisect_right(starts, _start_chars(piece, phone.word)) - 1
                first, _ = spans.get(sentence, (time.start_samples, 0))
                spans[sentence] = (first, time.end_samples)
    return spoken, [Cut(text, _at_16_khz(spoken.pcm, spans.get(index, (0, 0)))) for index, text in enumerate(sentences)]


def _start_chars(piece: TextSegment, word: int) -> int:
    """Where in the passage the text of a spoken word starts."""
    return piece.written[piece.spoken[word].written_index].start_chars


def _at_16_khz(pcm: Floats, span: tuple[int, int]) -> Floats:
    """A stretch of sound with 100 ms around it."""
    margin = SAMPLE_RATE_HZ // 10
    cut = pcm[max(span[0] - margin, 0) : span[1] + margin] if span[1] else np.zeros(0)
    return np.asarray(soxr.resample(cut, SAMPLE_RATE_HZ, EVALUATION_HZ))


def letters_wrong(said: str, heard: str) -> float:
    """Edit distance in letters over the letters that were said, at most 1."""
    said, heard = (plain_words(text).replace(" ", "") for text in (said, heard))
    return min(float(jiwer.cer(said, heard)), 1.0) if said and heard else 1.0


def sentence_wrong(said: str, heard: str) -> float:
    """The same for the run of words that is most like the sentence: a cut may hold the edge of another one."""
    words = plain_words(heard).split()
    ends = range(1, len(words) + 1)
    return min((letters_wrong(said, " ".join(words[start:end])) for end in ends for start in range(end)), default=1.0)


def last_word_wrong(said: str, heard: str) -> float:
    """The same for the last word, against the last one or two words that were heard: one word may be heard as two."""
    words = plain_words(heard).split()
    last = plain_words(said).split()[-1]
    return min((letters_wrong(last, "".join(words[-count:])) for count in (1, 2) if words), default=1.0)


def hear(cut: Cut, recognizer: Recognizer) -> list[str]:
    """What pocketsphinx hears and, where it misses the sentence or its last word, what the embedded ears hear."""
    _teach_words(cut.text)
    heard = [recognise(cut.pcm)]
    if sentence_wrong(cut.text, heard[0]) > MOST_LETTERS_WRONG or last_word_wrong(cut.text, heard[0]) > MOST_OF_LAST_WORD_WRONG:
        longest = int(recognizer.info.max_window_s * EVALUATION_HZ)
        padded = np.concatenate([np.zeros(3200), cut.pcm, np.zeros(4800)]).astype(np.float32)[:longest]
        heard.append(recognizer.step([RecognitionWindow(padded)])[0].text)
    return heard


def _teach_words(text: str) -> None:
    """Put the words that pocketsphinx lacks into its dictionary."""
    words = read_words(text)
    for word, phones in zip(words.words, words.arpabet, strict=True) if words else ():
        plain = re.sub("ax", "ah", re.sub(r"\d", "", phones))
        teach_word(word.lower(), plain.upper())


def check_passage(cuts: list[Cut], recognizer: Recognizer) -> dict[str, object]:
    """How many sentences are there, which are not, and whether the last word was spoken."""
    missing, passed_control, last = [], 0, 1.0
    for index, cut in enumerate(cuts):
        heard = hear(cut, recognizer)
        if min(sentence_wrong(cut.text, text) for text in heard) > MOST_LETTERS_WRONG:
            missing.append({"said": cut.text, "heard": heard})
        other = cuts[(index + 1) % len(cuts)].text
        passed_control += sentence_wrong(other, heard[0]) <= MOST_LETTERS_WRONG
        if index == len(cuts) - 1:
            last = min(last_word_wrong(cut.text, text) for text in heard)
    return {
        "sentences": len(cuts),
        "missing": missing,
        "control_passed": passed_control,
        "last_word": last <= MOST_OF_LAST_WORD_WRONG,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-folder", type=Path, required=True)
    parser.add_argument("--passages", type=int, default=len(PASSAGE_WORDS))
    parser.add_argument("--voice", default="Marcus")
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, front_end, recognizer = load("cpu", 1), TextFrontEnd(), load_recognizer("whisper", "cpu", 1)
    voice = next(v for v in model.info.voices if v.name == arguments.voice)
    rows, digest = [], hashlib.sha256()
    for number, sentences in enumerate(passages(arguments.text_folder, PASSAGE_WORDS[: arguments.passages])):
        digest.update("\n".join(sentences).encode())
        spoken, cuts = speak_passage(model, front_end, voice, sentences)
        seconds = len(spoken.pcm) / SAMPLE_RATE_HZ
        words = sum(len(sentence.split()) for sentence in sentences)
        rows.append({"words": words, "audio_s": round(seconds, 1), **check_passage(cuts, recognizer)})
        print(f"passage {number}: {json.dumps(rows[-1])}", file=sys.stderr, flush=True)
    figures = {
        "voice": voice.name,
        "words": [row["words"] for row in rows],
        "sentences": sum(int(str(row["sentences"])) for row in rows),
        "missing": [entry for row in rows for entry in row["missing"]],  # type: ignore[attr-defined]
        "control_passed": sum(int(str(row["control_passed"])) for row in rows),
        "last_words_spoken": sum(bool(row["last_word"]) for row in rows),
    }
    config = {"passages": len(rows), "data_hash": digest.hexdigest()[:12]}
    publish("long_texts", config, figures, keep=not arguments.no_record)


if __name__ == "__main__":
    main()
