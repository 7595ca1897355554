"""Hypotheses of one stream's windows → the events its client gets."""

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from models.hearing import Hypothesis
from models.scripts import words_of
from server.engine.hearing.joins import Joins
from server.engine.hearing.stabilizer import Stabilizer
from server.engine.hearing.windows import TurnMark, Window
from server.requests.speech import WordTime
from server.requests.transcription import Transcript, TranscriptEvent, TranscriptionRequest, Turn, TurnPhase


@dataclass(slots=True)
class _Undecided:
    """A window whose text is not final yet, and its newest decoding."""

    window: Window
    hypothesis: Hypothesis
    shown: list[str]
    """The words of it that a client may see."""
    stabilizer: Stabilizer = field(default_factory=Stabilizer)


class TranscriptText:
    """Joins texts: each transcript is what is new since the last final one, each turn update the whole turn.

    A turn's text only grows, so its words wait until two decodings agree on them. Interim transcripts take each
    other's place, so they show the newest decoding: words come 0.43 s after they were said, not 0.81 (p50; p90 0.72
    and 1.28), and 11 % of those shown are changed later, not 4 (`benchmarks.streaming_recognition`).
    """

    def __init__(self, request: TranscriptionRequest, rate_hz: int) -> None:
        self._request = request
        self._rate_hz = rate_hz
        self._undecided: dict[int, _Undecided] = {}
        """By start of the window, in their order: the open one, and before it those whose final text is awaited."""
        self._interim: list[str] = []
        """Words of the last interim transcript."""
        self._joins = Joins()
        self._final_until_s = 0.0
        self._turn_words: list[str] = []
        """Words of the windows of this turn that are final."""
        self._updated_words = 0
        self._in_turn = False

    def prefix(self, window: Window, is_draft: bool) -> str:
        """Text that a decoding of the window must start with: in a turn nothing shown is taken back, and of interim
        transcripts only the end is decoded anew, but not of one whose text may become the final one."""
        known = self._undecided.get(window.start_samples)
        if known is None or (self._request.turns is None and not is_draft):
            return ""
        return "".join(known.stabilizer.committed).lstrip()

    def partial(self, window: Window, hypothesis: Hypothesis, awaited: Collection[int] = ()) -> list[TranscriptEvent]:
        """A decoding of the open window; ``awaited`` are the starts of windows before it whose text is not final yet."""
        self._undecided = {
            start: known for start, known in self._undecided.items() if start in (*awaited, window.start_samples)
        }
        heard, in_turns = words_of(hypothesis.text), self._request.turns is not None
        known = self._undecided.setdefault(window.start_samples, _Undecided(window, hypothesis, []))
        # Half a word is there where the audio ends within speech: shown as well, six times as many were changed later. One
        # that the decoding before had too is whole.
        is_whole = window.in_pause or known.stabilizer.had(heard)
        known.window, known.hypothesis, known.shown = window, hypothesis, heard if is_whole else heard[:-1]
        if not in_turns and not known.stabilizer.allows(heard):
            known.stabilizer = Stabilizer()
        grew = known.stabilizer.update(heard, window.in_pause)
        if in_turns:
            committed = self._joins.continued(known.stabilizer.committed, hypothesis.language)
            return self._update(window, self._turn_words + committed) if grew else []
        return self._interim_transcript(window, hypothesis) if self._request.interim else []

    def _interim_transcript(self, window: Window, hypothesis: Hypothesis) -> list[TranscriptEvent]:
        """All that is not final yet, where it is not what the last one said."""
        joins, words, times = copy.deepcopy(self._joins), list[str](), list[WordTime]()
        for known in self._undecided.values():
            joined = joins.continued(known.shown, known.hypothesis.language)
            joins.write(joined)
            words += joined
            times += self._word_times(known.window, known.hypothesis, "".join(joined))
        if not words or words == self._interim:
            return []
        self._interim = words
        return [self._transcript(window, words, times, hypothesis, is_final=False)]

    def final(self, window: Window, hypothesis: Hypothesis) -> list[TranscriptEvent]:
        in_turns = self._request.turns is not None
        heard, known = words_of(hypothesis.text), self._undecided.pop(window.start_samples, None)
        if in_turns and known is not None:
            heard = known.stabilizer.finish(heard)
        words = self._joins.continued(heard, hypothesis.language)
        self._joins.write(words)
        self._interim = []
        if in_turns:
            self._turn_words += words
            return self._update(window, self._turn_words)
        if not words and not hypothesis.truncated:
            return []
        times = self._word_times(window, hypothesis, "".join(words))
        event = self._transcript(window, words, times, hypothesis, is_final=True)
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

    def _transcript(
        self, window: Window, words: Sequence[str], times: Sequence[WordTime], hypothesis: Hypothesis, *, is_final: bool
    ) -> Transcript:
        return Transcript(
            text="".join(words),
            is_final=is_final,
            words=tuple(times),
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
