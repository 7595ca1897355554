"""Voices from recordings: what a clip must have, and the work on it away from the event loop."""

import asyncio
from collections.abc import Callable

import numpy as np

from models.audio import Pcm
from models.hearing import SpeechDetector
from models.voices import ClonedVoice, VoiceCloner
from server.errors import Busy, InvalidRequest

CLIP_RATE_HZ = 16_000
LEAST_SPEECH_S = 2.0
MOST_USED_S = 15.0
"""Later speech of a longer clip adds nothing that could be heard."""
_MOST_WAITING = 4
_SPEECH_PROBABILITY = 0.5
_MARGIN_S = 0.2


class Cloning:
    """Makes voices one at a time. The models are loaded by the first clip."""

    def __init__(self, load: Callable[[], VoiceCloner], detector: SpeechDetector) -> None:
        self._load = load
        self._detector = detector
        self._cloner: VoiceCloner | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def clone(self, pcm: Pcm, field: str) -> ClonedVoice:
        """The voice of a clip [S] at 16 kHz.

        Raises InvalidRequest naming ``field`` where there is not enough speech in it, Busy when many others wait.
        """
        if self._waiting >= _MOST_WAITING:
            raise Busy("Other voices are being cloned; try again in a few seconds.", retry_after_s=5.0)
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(self.clone_now, pcm, field)
        finally:
            self._waiting -= 1

    def clone_now(self, pcm: Pcm, field: str) -> ClonedVoice:
        """What `clone` does, on the caller's own thread; one call at a time."""
        speech = self._speech(pcm, field)
        self._cloner = self._cloner or self._load()
        try:
            return self._cloner.clone(speech)
        except ValueError as error:
            raise InvalidRequest(f"{field}: {error}", field=field) from None

    def _speech(self, pcm: Pcm, field: str) -> Pcm:
        """The clip from its first speech to its last, pauses included; at most `MOST_USED_S` of it, at a level of its own."""
        if not np.any(pcm):
            raise InvalidRequest(f"{field}: is silent", field=field)
        size, state = self._detector.frame_samples, self._detector.init_state()
        normal = (pcm * np.float32(0.7 / np.abs(pcm).max())).astype(np.float32)
        spoken = []
        for start in range(0, len(normal) - size + 1, size):
            ((probability, state),) = self._detector.step_batch([normal[start : start + size]], [state])
            spoken.append(probability >= _SPEECH_PROBABILITY)
        speech_s = sum(spoken) * size / CLIP_RATE_HZ
        if speech_s < LEAST_SPEECH_S:
            message = f"{field}: holds {speech_s:.1f} s of speech; at least {LEAST_SPEECH_S:g} s are needed, 3 to 10 s are best"
            raise InvalidRequest(message, field=field)
        heard = np.flatnonzero(spoken)
        margin = int(_MARGIN_S * CLIP_RATE_HZ)
        first, last = max(0, heard[0] * size - margin), (heard[-1] + 1) * size + margin
        return normal[first : min(last, first + int(MOST_USED_S * CLIP_RATE_HZ))]
