import pytest

from server.engine.hearing.endpointing import Change, Endpointer, EndpointPolicy

POLICY = EndpointPolicy(frame_s=0.032, min_volume=0.0, max_silence_s=0.5)


def run(endpointer: Endpointer, probabilities: list[float], level: float = 0.1) -> list[tuple[int, Change]]:
    found: list[tuple[int, Change]] = []
    for probability in probabilities:
        change, _ = endpointer.frame(probability, level)
        if change is not Change.NONE:
            found.append((endpointer._frame, change))
    return found


def test_start_keeps_what_came_before_and_end_waits_for_the_silence() -> None:
    endpointer = Endpointer(POLICY)
    assert run(endpointer, [0.0] * 20 + [0.9] * 10) == [(23, Change.START)]
    assert endpointer.start == 20 - POLICY.frames(POLICY.pre_roll_s)
    assert run(endpointer, [0.0] * 15) == []
    assert run(endpointer, [0.0] * 2) == [(45, Change.END)]
    assert endpointer.end == 29 + POLICY.frames(POLICY.post_roll_s) + 1


def test_a_click_or_a_beep_opens_nothing() -> None:
    assert run(Endpointer(POLICY), ([0.9] * 3 + [0.0] * 10) * 20) == []


def test_short_dropouts_do_not_hide_speech() -> None:
    assert run(Endpointer(POLICY), [0.9, 0.0, 0.9, 0.1, 0.9, 0.9]) == [(5, Change.START)]


def test_staying_open_takes_less_than_opening() -> None:
    endpointer = Endpointer(POLICY)
    run(endpointer, [0.9] * 5)
    assert run(endpointer, [0.4] * 100) == []
    assert endpointer.speaking
    assert run(Endpointer(POLICY), [0.4] * 100) == []


@pytest.mark.parametrize(("level", "heard"), [(0.04, False), (0.06, True)])
def test_quieter_than_the_minimum_is_never_speech(level: float, heard: bool) -> None:
    endpointer = Endpointer(EndpointPolicy(frame_s=0.032, min_volume=0.05, max_silence_s=0.5))
    assert bool(run(endpointer, [0.9] * 10, level)) is heard


def test_speech_after_a_close_must_open_again() -> None:
    endpointer = Endpointer(POLICY)
    run(endpointer, [0.9] * 10)
    endpointer.close()
    assert run(endpointer, [0.9] * 3) == []
    assert run(endpointer, [0.9]) == [(13, Change.START)]
