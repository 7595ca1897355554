from hypothesis import given
from hypothesis import strategies as st

from server.engine.hearing.turns import TurnMachine
from server.requests.transcription import TurnPhase, TurnSettings

FRAME_S = 0.032


class Talk:
    """Drives a machine with stretches of speech and silence; collects its events with their time."""

    def __init__(self, settings: TurnSettings = TurnSettings()) -> None:  # noqa: B008 - frozen
        self.machine = TurnMachine(settings, FRAME_S)
        self.events: list[tuple[TurnPhase, float]] = []
        self.now_s = 0.0
        self.silence_s = 0.0

    def hear(self, seconds: float, probability: float) -> "Talk":
        for _ in range(round(seconds / FRAME_S)):
            self.now_s += FRAME_S
            is_speech = probability >= 0.5
            self.silence_s = 0.0 if is_speech else self.silence_s + FRAME_S
            phase = self.machine.frame(probability, is_speech, True, self.silence_s)
            if phase is not None:
                self.events.append((phase, self.now_s))
        return self

    @property
    def phases(self) -> list[TurnPhase]:
        return [phase for phase, _ in self.events]


def test_a_whole_turn() -> None:
    talk = Talk().hear(2.0, 0.95).hear(3.0, 0.0)
    assert talk.phases == [TurnPhase.START, TurnPhase.EAGER_END, TurnPhase.END]
    start_s, eager_s, end_s = (at_s for _, at_s in talk.events)
    assert start_s < 0.3
    assert 0.3 < eager_s - 2.0 < 0.6
    assert 0.6 < end_s - 2.0 < 1.0


def test_a_pause_inside_a_turn_resumes() -> None:
    talk = Talk().hear(1.0, 0.95).hear(0.6, 0.0).hear(1.0, 0.95).hear(3.0, 0.0)
    assert talk.phases == [TurnPhase.START, TurnPhase.EAGER_END, TurnPhase.RESUME, TurnPhase.EAGER_END, TurnPhase.END]


def test_a_short_pause_is_none() -> None:
    assert Talk().hear(1.0, 0.95).hear(0.3, 0.0).hear(1.0, 0.95).phases == [TurnPhase.START]


def test_a_stray_frame_is_no_resumption() -> None:
    talk = Talk().hear(1.0, 0.95).hear(0.6, 0.0).hear(FRAME_S, 0.95).hear(3.0, 0.0)
    assert talk.phases == [TurnPhase.START, TurnPhase.EAGER_END, TurnPhase.END]


def test_thresholds_move_the_ends() -> None:
    patient = Talk(TurnSettings(eager_end_threshold=0.3, end_threshold=0.05)).hear(1.0, 0.95).hear(3.0, 0.0)
    hasty = Talk(TurnSettings(eager_end_threshold=0.6, end_threshold=0.5)).hear(1.0, 0.95).hear(3.0, 0.0)
    assert patient.events[-1][1] > hasty.events[-1][1] + 0.5


def test_silence_ends_a_turn_whatever_the_likelihood() -> None:
    talk = Talk(TurnSettings(end_timeout_ms=640))
    talk.machine.likelihood = 1.0
    talk.hear(1.0, 0.95)
    talk.machine._decay = 1.0
    talk.hear(1.0, 0.0)
    assert talk.phases == [TurnPhase.START, TurnPhase.END]
    assert 0.6 < talk.events[-1][1] - 1.0 < 0.7


def test_uncertain_sound_starts_nothing() -> None:
    assert Talk().hear(5.0, 0.6).phases == []


@given(st.lists(st.tuples(st.floats(0.03, 2.0), st.floats(0.0, 1.0)), max_size=30))
def test_guarantees(stretches: list[tuple[float, float]]) -> None:
    """A turn begins with START; an EAGER_END is followed by one RESUME or END; RESUME comes only then."""
    talk = Talk()
    for seconds, probability in stretches:
        talk.hear(seconds, probability)
    talk.machine.end()
    allowed = {
        None: {TurnPhase.START},
        TurnPhase.START: {TurnPhase.EAGER_END, TurnPhase.END},
        TurnPhase.EAGER_END: {TurnPhase.RESUME, TurnPhase.END},
        TurnPhase.RESUME: {TurnPhase.EAGER_END, TurnPhase.END},
        TurnPhase.END: {TurnPhase.START},
    }
    before: TurnPhase | None = None
    for phase in talk.phases:
        assert phase in allowed[before]
        before = phase
