"""Utterances through a synthesizer to their end, for everything that is no server: checks, measures, training, cloning."""

from collections.abc import Generator, Iterable, Sequence

import numpy as np

from models.audio import Pcm
from models.speech import DEFAULT_GENERATION, Generation, SpeechFrames, Synthesizer, Utterance
from models.voices import Voice


def steps_of(
    model: Synthesizer, requests: Sequence[tuple[Voice, Sequence[Utterance]]], generation: Generation = DEFAULT_GENERATION
) -> Generator[dict[int, SpeechFrames], None, None]:
    """Each step as it is made: what it gave, by the number of the request.

    Requests take the slots from 0 on, which must be free, and step together until all of theirs has ended: a step
    without audio ends nothing.
    """
    left: dict[int, int] = {}
    try:
        for slot, (voice, utterances) in enumerate(requests):
            model.admit(slot, voice, generation)
            left[slot] = len(utterances)
            for utterance in utterances:
                model.feed(slot, utterance)
        while speaking := [slot for slot, count in left.items() if count > 0]:
            given = dict(zip(speaking, model.step(speaking), strict=True))
            for slot, frames in given.items():
                left[slot] -= frames.utterances_ended
            yield given
    finally:
        for slot in left:
            model.release(slot)


def say(
    model: Synthesizer, voice: Voice, utterances: Sequence[Utterance], generation: Generation = DEFAULT_GENERATION
) -> list[SpeechFrames]:
    """All steps of one voice."""
    return [given[0] for given in steps_of(model, [(voice, utterances)], generation)]


def say_together(model: Synthesizer, requests: Sequence[tuple[Voice, Sequence[Utterance]]]) -> list[Pcm]:
    """The audio [S] of each request, stepped as one batch."""
    steps = list(steps_of(model, requests))
    return [audio_of(given[number] for given in steps if number in given) for number in range(len(requests))]


def audio_of(frames: Iterable[SpeechFrames]) -> Pcm:
    """[S]; empty where no step gave any."""
    return np.concatenate([np.zeros(0, np.float32), *(step.pcm for step in frames)])
