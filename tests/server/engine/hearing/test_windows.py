"""Cutting a stream into windows: random speech, pauses and flushes against invariants."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.audio import Pcm
from models.hearing import WindowPolicy, WindowRules
from server.engine.hearing.windows import Mark, TurnMark, Window, WindowCutter
from server.requests.transcription import TranscriptionRequest, TurnPhase, TurnSettings
from tests.fakes import FakeDetector

FRAME = 512
RATE_HZ = 16_000
MAX_WINDOW_S = 4.0
WINDOWS = WindowPolicy().within(MAX_WINDOW_S)


@dataclass(frozen=True)
class Stretch:
    """Some seconds of speech (or silence), then perhaps a flush; fed in pieces of ``piece`` samples."""

    seconds: float
    is_speech: bool
    flush: bool
    piece: int


stretches = st.lists(
    st.builds(
        Stretch,
        seconds=st.floats(0.01, 3.0),
        is_speech=st.booleans(),
        flush=st.sampled_from([False, False, True]),
        piece=st.integers(100, 20_000),
    ),
    max_size=10,
)


def tone(stretch: Stretch) -> Pcm:
    samples = int(stretch.seconds * RATE_HZ)
    return np.full(samples, 0.3 if stretch.is_speech else 0.0, np.float32)


def listen(cutter: WindowCutter, now_s: float = 0.0) -> None:
    detector = FakeDetector()
    while (frame := cutter.next_frame(now_s)) is not None:
        ((probability, _),) = detector.step_batch([frame], [0])
        cutter.heard(frame, probability, now_s)
        window = cutter.partial(0.5, now_s)
        if window is not None:
            assert not window.is_final
            assert len(window.pcm)
            cutter.decoded(window, is_draft=False)


def run(found: Sequence[Stretch], turns: TurnSettings | None = None) -> tuple[WindowCutter, Pcm]:
    request = TranscriptionRequest("fake", "test", max_silence_s=0.5, turns=turns)
    cutter = WindowCutter(request, FakeDetector(), WINDOWS)
    audio = []
    for stretch in found:
        pcm = tone(stretch)
        audio.append(pcm)
        for at in range(0, len(pcm), stretch.piece):
            cutter.feed(pcm[at : at + stretch.piece])
            listen(cutter)
        if stretch.flush:
            cutter.flush()
            listen(cutter)
    cutter.finish()
    listen(cutter)
    return cutter, np.concatenate(audio) if audio else np.zeros(0, np.float32)


@given(stretches)
def test_windows_are_pieces_of_the_audio_in_order(found: list[Stretch]) -> None:
    cutter, audio = run(found)
    windows = [item for item in cutter.ready if isinstance(item, Window)]
    before = 0
    for window in windows:
        # A flush hands out samples of a frame that is not full yet; the next window may begin with that frame.
        assert window.start_samples >= before - FRAME
        assert np.array_equal(window.pcm, audio[window.start_samples : window.end_samples])
        assert len(window.pcm) <= MAX_WINDOW_S * RATE_HZ + FRAME
        assert np.any(window.pcm), "a window without speech"
        before = window.end_samples
    assert cutter.taken_samples == len(audio)
    marks = [item for item in cutter.ready if isinstance(item, Mark)]
    assert marks == [Mark.FLUSHED] * sum(stretch.flush for stretch in found) + [Mark.FINISHED]
    assert cutter.ready[-1] is Mark.FINISHED


@given(stretches)
def test_no_speech_is_lost(found: list[Stretch]) -> None:
    """Every run of speech that is long enough to open a window, and not torn by flushes, is in some window."""
    cutter, audio = run([Stretch(s.seconds, s.is_speech, False, s.piece) for s in found])
    covered = np.zeros(len(audio), bool)
    for item in cutter.ready:
        if isinstance(item, Window):
            covered[item.start_samples : item.end_samples] = True
    at = 0
    merged: list[tuple[bool, int]] = []
    for stretch in found:
        samples = int(stretch.seconds * RATE_HZ)
        if merged and merged[-1][0] == stretch.is_speech:
            merged[-1] = (stretch.is_speech, merged[-1][1] + samples)
        else:
            merged.append((stretch.is_speech, samples))
    for is_speech, samples in merged:
        # Frames at the edges are only partly speech; up to two may be judged silent.
        if is_speech and samples > 8 * FRAME:
            inside = covered[at + FRAME : at + samples - FRAME]
            assert inside.all(), "speech outside all windows"
        at += samples


def test_a_long_window_ends_at_a_pause_shorter_than_the_silence_that_ends_a_segment() -> None:
    policy = WindowPolicy(live=WindowRules(longest_s=12.0, pause_after_s=4.0, pause_s=0.3))
    cutter = WindowCutter(TranscriptionRequest("fake", "test", max_silence_s=1.0), FakeDetector(), policy)
    for seconds, is_speech in ((2.0, True), (0.5, False), (3.0, True), (0.5, False), (1.0, True), (1.5, False)):
        cutter.feed(tone(Stretch(seconds, is_speech, False, 1)))
        listen(cutter)
    ends_s = [item.end_samples / RATE_HZ for item in cutter.ready if isinstance(item, Window)]
    # Not at 2 s, where the window is still short; at 5.5 s and at the end, each with its post-roll.
    assert [round(end_s, 1) for end_s in ends_s] == [5.7, 7.2]


@pytest.mark.parametrize(("sure_frames", "windows"), [(0, 0), (3, 0), (4, 1)])
def test_sound_that_is_never_surely_speech_is_not_transcribed(sure_frames: int, windows: int) -> None:
    """A tone that sets in may pass for speech for a third of a second, at 0.5 to 0.9; the shortest word is surer."""
    cutter = WindowCutter(TranscriptionRequest("fake", "test", max_silence_s=0.5), FakeDetector(), WINDOWS)
    probabilities = [0.0] * 10 + [0.85] * sure_frames + [0.7] * (12 - sure_frames) + [0.0] * 30
    partials = []
    for probability in probabilities:
        cutter.heard(np.full(FRAME, 0.1, np.float32), probability, 0.0)
        partials.append(cutter.partial(0.5, 0.0))
    cutter.finish()
    listen(cutter)
    assert sum(isinstance(item, Window) for item in cutter.ready) == windows
    assert any(partials) == bool(windows)


@given(stretches)
def test_turns_are_whole(found: list[Stretch]) -> None:
    cutter, _ = run([Stretch(s.seconds, s.is_speech, False, s.piece) for s in found], TurnSettings())
    phases = [item.phase for item in cutter.ready if isinstance(item, TurnMark)]
    assert phases.count(TurnPhase.START) == phases.count(TurnPhase.END)
    inside = False
    for item in cutter.ready:
        if isinstance(item, TurnMark):
            inside = item.phase is not TurnPhase.END
        elif isinstance(item, Window):
            assert inside, "text that belongs to no turn"


def windows_of_a_file(*stretches_s: tuple[float, bool]) -> list[tuple[float, float]]:
    """Start and end in seconds of each window, with the rules of stock Whisper."""
    cutter = WindowCutter(TranscriptionRequest("fake", "test", whole=True), FakeDetector(), WindowPolicy())
    for seconds, is_speech in stretches_s:
        cutter.feed(tone(Stretch(seconds, is_speech, False, 1)))
    cutter.finish()
    listen(cutter)
    windows = [item for item in cutter.ready if isinstance(item, Window)]
    return [(round(window.start_samples / RATE_HZ, 1), round(window.end_samples / RATE_HZ, 1)) for window in windows]


def test_short_segments_of_a_file_are_read_together() -> None:
    assert windows_of_a_file((2.0, True), (1.5, False), (2.0, True), (1.5, False), (2.0, True)) == [(0.0, 9.0)]


def test_a_long_gap_ends_a_window_of_a_file() -> None:
    assert windows_of_a_file((2.0, True), (4.0, False), (2.0, True)) == [(0.0, 3.0), (5.0, 8.0)]


def test_long_speech_in_a_file_is_cut_in_the_middle_of_its_longest_late_pause() -> None:
    found = windows_of_a_file((18.0, True), (0.5, False), (3.0, True), (1.0, False), (10.0, True))
    assert found == [(0.0, pytest.approx(22.0, abs=0.1)), (pytest.approx(22.0, abs=0.1), 32.5)]


@pytest.fixture
def speaking() -> WindowCutter:
    """Somebody has spoken for a second, and speaks on."""
    cutter = WindowCutter(TranscriptionRequest("fake", "test", max_silence_s=1.0), FakeDetector(), WINDOWS)
    judge(cutter, 1.0, is_speech=True)
    return cutter


def judge(cutter: WindowCutter, seconds: float, *, is_speech: bool) -> None:
    for _ in range(round(seconds * RATE_HZ / FRAME)):
        level, probability = (0.3, 0.95) if is_speech else (0.0, 0.02)
        cutter.heard(np.full(FRAME, level, np.float32), probability, 0.0)


def partial(cutter: WindowCutter) -> Window:
    window = cutter.partial(0.5, 0.0)
    assert window is not None
    return window


class TestDecodedAhead:
    """The open window in a pause is decoded as a draft first, and once more ahead of its end."""

    def test_not_before_a_pause(self, speaking: WindowCutter) -> None:
        speaking.decoded(partial(speaking), is_draft=True)
        assert speaking.ahead(0.0) is None

    def test_not_before_all_of_it_was_drafted(self, speaking: WindowCutter) -> None:
        speaking.decoded(partial(speaking), is_draft=True)
        judge(speaking, 0.6, is_speech=False)
        assert speaking.ahead(0.0) is None
        draft = partial(speaking)
        speaking.decoded(draft, is_draft=True)
        ahead = speaking.ahead(1.5)
        assert ahead is not None
        assert (ahead.start_samples, len(ahead.pcm), ahead.is_final) == (draft.start_samples, len(draft.pcm), False)
        assert (ahead.in_pause, ahead.due_s) == (True, 1.5)

    def test_it_has_as_much_of_the_pause_as_the_final_window(self, speaking: WindowCutter) -> None:
        judge(speaking, 0.6, is_speech=False)
        speaking.decoded(partial(speaking), is_draft=True)
        ahead = speaking.ahead(0.0)
        judge(speaking, 0.5, is_speech=False)
        (final,) = speaking.ready
        assert isinstance(final, Window)
        assert ahead is not None
        assert np.array_equal(ahead.pcm, final.pcm)

    def test_once(self, speaking: WindowCutter) -> None:
        judge(speaking, 0.6, is_speech=False)
        speaking.decoded(partial(speaking), is_draft=True)
        ahead = speaking.ahead(0.0)
        assert ahead is not None
        speaking.decoded(ahead, is_draft=False)
        assert speaking.ahead(0.0) is None
        assert speaking.partial(0.5, 0.0) is None
        judge(speaking, 0.5, is_speech=True)
        judge(speaking, 0.6, is_speech=False)
        speaking.decoded(partial(speaking), is_draft=True)
        assert speaking.ahead(0.0) is not None, "it went on, and there is another pause"

    def test_never_where_the_only_decoding_was_good_enough(self, speaking: WindowCutter) -> None:
        judge(speaking, 0.6, is_speech=False)
        speaking.decoded(partial(speaking), is_draft=False)
        assert speaking.ahead(0.0) is None

    def test_not_while_there_is_audio_to_hear(self, speaking: WindowCutter) -> None:
        judge(speaking, 0.6, is_speech=False)
        speaking.decoded(partial(speaking), is_draft=True)
        speaking.feed(np.zeros(100, np.float32))
        assert speaking.ahead(0.0) is None

    def test_the_next_window_has_one_of_its_own(self, speaking: WindowCutter) -> None:
        judge(speaking, 0.6, is_speech=False)
        speaking.decoded(partial(speaking), is_draft=True)
        judge(speaking, 0.5, is_speech=False)
        assert speaking.ahead(0.0) is None, "the window is closed"
        judge(speaking, 1.0, is_speech=True)
        judge(speaking, 0.6, is_speech=False)
        assert speaking.ahead(0.0) is None, "nothing of the new window was decoded"
        speaking.decoded(partial(speaking), is_draft=True)
        assert speaking.ahead(0.0) is not None


class TestNewest:
    def test_a_window_that_grows_is_the_newest_until_more_of_it_was_decoded(self, speaking: WindowCutter) -> None:
        first = partial(speaking)
        assert speaking.is_newest(first)
        judge(speaking, 0.7, is_speech=True)
        second = partial(speaking)
        assert speaking.is_newest(first), "the second one was not decoded yet"
        speaking.decoded(second, is_draft=True)
        assert not speaking.is_newest(first)
        assert speaking.is_newest(second), "as long as what was decoded"

    def test_not_once_the_next_window_is_open(self, speaking: WindowCutter) -> None:
        first = partial(speaking)
        speaking.flush()
        listen(speaking)
        judge(speaking, 1.0, is_speech=True)
        assert not speaking.is_newest(first)
        assert speaking.is_newest(partial(speaking))

    def test_not_once_speech_has_ended(self, speaking: WindowCutter) -> None:
        first = partial(speaking)
        judge(speaking, 1.1, is_speech=False)
        assert not speaking.is_newest(first)

    def test_a_final_window_never_is(self, speaking: WindowCutter) -> None:
        assert not speaking.is_newest(replace(partial(speaking), is_final=True))
