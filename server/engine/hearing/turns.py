"""Turn taking: from the likelihood that the user is in an active turn to the events of a turn.

The machine has three states and these guarantees: a turn's first event is
START; each EAGER_END is followed by exactly one of RESUME or END; END always
closes. Time is audio time: without audio nothing times out.

The likelihood rises with the detector's probability over about 150 ms and
halves every `HALF_LIFE_S` of silence; with the default thresholds the eager end
comes after 0.46 s of silence and the end after 0.81 s.
"""

from enum import Enum

from server.requests.transcription import TurnPhase, TurnSettings

RISE_PER_FRAME = 0.35
HALF_LIFE_S = 0.35


class TurnState(Enum):
    IDLE = "idle"
    SPEAKING = "speaking"
    EAGER_ENDED = "eager ended"


class TurnMachine:
    """One stream's turns. ``frame_s`` is the time between two calls of `frame`."""

    def __init__(self, settings: TurnSettings, frame_s: float) -> None:
        self.settings = settings
        self.state = TurnState.IDLE
        self.likelihood = 0.0
        self._decay = 0.5 ** (frame_s / HALF_LIFE_S)

    def frame(self, probability: float, is_speech: bool, heard_speech: bool, silence_s: float) -> TurnPhase | None:
        """Take one frame. ``heard_speech`` says that enough speech was heard to open a segment."""
        if is_speech:
            self.likelihood += RISE_PER_FRAME * max(0.0, probability - self.likelihood)
        else:
            self.likelihood *= self._decay
        settings = self.settings
        match self.state:
            case TurnState.IDLE:
                if heard_speech and self.likelihood > settings.start_threshold:
                    self.state = TurnState.SPEAKING
                    return TurnPhase.START
            case TurnState.SPEAKING | TurnState.EAGER_ENDED:
                if self.likelihood < settings.end_threshold or silence_s * 1000 >= settings.end_timeout_ms:
                    return self.end()
                if self.state is TurnState.SPEAKING and self.likelihood < settings.eager_end_threshold:
                    self.state = TurnState.EAGER_ENDED
                    return TurnPhase.EAGER_END
                if self.state is TurnState.EAGER_ENDED and self.likelihood > self._resume_threshold:
                    self.state = TurnState.SPEAKING
                    return TurnPhase.RESUME
        return None

    @property
    def _resume_threshold(self) -> float:
        """Halfway back up: one stray frame is no resumption."""
        return (self.settings.eager_end_threshold + self.settings.start_threshold) / 2

    def begin(self) -> TurnPhase | None:
        """Open a turn, if none is open, whatever the likelihood."""
        if self.state is not TurnState.IDLE:
            return None
        self.state = TurnState.SPEAKING
        return TurnPhase.START

    def end(self) -> TurnPhase | None:
        """End the turn, if one is open, whatever the likelihood."""
        if self.state is TurnState.IDLE:
            return None
        self.state = TurnState.IDLE
        self.likelihood = 0.0
        return TurnPhase.END
