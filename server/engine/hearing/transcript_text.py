"""Hypotheses of one stream's windows → the events its client gets."""

from collections.abc import Sequence

from models.hearing import Hypothesis
from models.scripts import words_of
from server.engine.hearing.joins import Joins
from server.engine.hearing.stabilizer import Stabilizer
from server.engine.hearing.windows import TurnMark, Window
from server.requests.speech import WordTime
from server.requests.transcription import Transcript, TranscriptEvent, TranscriptionRequest, Turn, TurnPhase


class TranscriptText:
    """Joins texts: each transcript is what is new since the last final one, each turn update the whole turn.

    A turn's text only grows, so its words wait until two decodings agree on them. Interim transcripts take each
    other's place, so they show the newest decoding: words come 0.43 s after they were said, not 0.81 (p50; p90 0.72
    and 1.28), and 11 % of those shown are changed later, not 4 (`benchmarks.streaming_recognition`).
    """

    def __init__(self, request: TranscriptionRequest, rate_hz: int) -> None:
        self._request = request
        self._rate_hz = rate_hz
        self._stabilizer = Stabilizer()
        self._interim: list[str] = []
        """Words of the open window in the last interim transcript."""
        self._joins = Joins()
        self._final_until_s = 0.0
        self._turn_words: list[str] = []
        """Words of the windows of this turn that are final."""
        self._updated_words = 0
        self._in_turn = False

    def prefix(self, window: Window) -> str:
        """Text that a decoding of the open window must start with: in a turn nothing shown is taken back, and of
        interim transcripts only the end is decoded anew, but not of one whose text may become the final one."""
        if self._request.turns is None and (window.is_final or window.in_pause):
            return ""
        return "".join(self._stabilizer.committed).lstrip()

    def partial(self, window: Window, hypothesis: Hypothesis) -> list[TranscriptEvent]:
        heard = words_of(hypothesis.text)
        if self._request.turns is None and not self._stabilizer.allows(heard):
            self._stabilizer = Stabilizer()
        grew = self._stabilizer.update(heard, window.in_pause)
        if self._request.turns is not None:
            committed = self._joins.continued(self._stabilizer.committed, hypothesis.language)
            return self._update(window, self._turn_words + committed) if grew else []
        # Half a word is there where the audio ends within speech: shown as well, six times as many were changed later.
        words = self._joins.continued(heard if window.in_pause else heard[:-1], hypothesis.language)
        if not self._request.interim or not words or words == self._interim:
            return []
        self._interim = words
        return [self._transcript(window, words, hypothesis, is_final=False)]

    def final(self, window: Window, hypothesis: Hypothesis) -> list[TranscriptEvent]:
        in_turns = self._request.turns is not None
        heard = words_of(hypothesis.text)
        words = self._joins.continued(self._stabilizer.finish(heard) if in_turns else heard, hypothesis.language)
        self._joins.write(words)
        self._stabilizer, self._interim = Stabilizer(), []
        if in_turns:
            self._turn_words += words
            return self._update(window, self._turn_words)
        if not words and not hypothesis.truncated:
            return []
        event = self._transcript(window, words, hypothesis, is_final=True)
        self._final_until_s = window.end_samples / self._rate_hz
        return [event]

    def turn(self, mark: TurnMark) -> list[TranscriptEvent]:
        text = "".join(self._turn_words)
        self._in_turn = mark.phase is not TurnPhase.END
        if mark.phase is TurnPhase.END:
            self._turn_words, self._updated_words, self._joins = [], 0, Joins()
        elif mark.phase is not TurnPhase.EAGER_END:
            text = ""
        return [Turn(mark.phase, text, mark.at_s)]

    def _update(self, window: Window, words: Sequence[str]) -> list[TranscriptEvent]:
        """A turn's text, when it has grown."""
        if not self._in_turn or not self._request.interim or len(words) <= self._updated_words:
            return []
        self._updated_words = len(words)
        return [Turn(TurnPhase.UPDATE, "".join(words), window.end_samples / self._rate_hz)]

    def _transcript(self, window: Window, words: Sequence[str], hypothesis: Hypothesis, *, is_final: bool) -> Transcript:
        text = "".join(words)
        return Transcript(
            text=text,
            is_final=is_final,
            words=self._word_times(window, hypothesis, text),
            duration_s=max(0.0, window.end_samples / self._rate_hz - self._final_until_s),
            language=hypothesis.language,
            truncated=hypothesis.truncated and is_final,
        )

    def _word_times(self, window: Window, hypothesis: Hypothesis, shown: str) -> tuple[WordTime, ...]:
        """Of the words that are shown, spelled as they are there: from the start of the stream, inside the window, never
        backwards; none if nobody asked for them."""
        if not self._request.want_words or not hypothesis.words:
            return ()
        start_s, end_s = window.start_samples / self._rate_hz, window.end_samples / self._rate_hz
        text = shown.strip()
        first = hypothesis.words[0].word
        at = len(first.lstrip()) - len(first)
        result: list[WordTime] = []
        for word in hypothesis.words:
            spelled = text[max(at, 0) : at + len(word.word)].strip()
            at += len(word.word)
            if not spelled:
                break
            earliest_s = result[-1].start_s if result else start_s
            first_s = min(max(start_s + word.start_s, earliest_s), end_s)
            result.append(WordTime(spelled, first_s, min(max(start_s + word.end_s, first_s), end_s)))
        return tuple(result)
