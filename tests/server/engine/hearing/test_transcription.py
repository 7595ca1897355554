"""Transcription through the engine on fakes."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any, cast

import numpy as np
import pytest

from models.audio import Pcm
from models.hearing import Effort
from server.config import Limits
from server.engine.engine import Engine
from server.engine.hearing.jobs import Job, choose_jobs
from server.engine.hearing.stream import MAX_PENDING_S, PIECE_S, TranscriptStream
from server.engine.hearing.windows import Window
from server.errors import Busy, InternalError, InvalidRequest
from server.metrics import Metrics
from server.requests.transcription import (
    Transcript,
    TranscriptEvent,
    TranscriptFlushed,
    TranscriptionRequest,
    Turn,
    TurnPhase,
    TurnSettings,
)
from tests.fakes import FakeDetector, FakeFrontEnd, FakeRecognizer, FakeSynthesizer, silence, speech


def build(model: FakeRecognizer, metrics: Metrics | None = None, **limits: float) -> Engine:
    return Engine(
        synthesizers={"fake": FakeSynthesizer()},
        recognizers={"fake": model},
        detector=FakeDetector(),
        front_end=FakeFrontEnd(),
        limits=Limits.model_validate(limits),
        metrics=metrics or Metrics(),
    )


@pytest.fixture
def model() -> FakeRecognizer:
    return FakeRecognizer()


@pytest.fixture
async def engine(model: FakeRecognizer) -> AsyncIterator[Engine]:
    engine = build(model)
    await engine.start()
    yield engine
    await engine.stop(0)


def request(**changes: object) -> TranscriptionRequest:
    return TranscriptionRequest(**{"model": "fake", "request_id": "test", **changes})  # type: ignore[arg-type]


async def collect(stream: TranscriptStream) -> list[TranscriptEvent]:
    async with asyncio.timeout(20):
        return [event async for event in stream]


async def feed_slowly(stream: TranscriptStream, pcm: np.ndarray, piece_s: float = 0.1) -> None:
    """In pieces, each taken before the next, as a live source would bring them."""
    piece = int(piece_s * 16_000)
    for at in range(0, len(pcm), piece):
        await stream.feed(pcm[at : at + piece])
        while stream._session.pending_samples and not stream._session.ended:  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.001)


def finals(events: list[TranscriptEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Transcript) and event.is_final)


def texts(events: list[TranscriptEvent]) -> list[tuple[str, bool]]:
    return [(event.text, event.is_final) for event in events if isinstance(event, Transcript)]


async def hear(engine: Engine, *parts: Pcm, **changes: object) -> list[TranscriptEvent]:
    stream = engine.transcribe(request(**changes))
    await feed_slowly(stream, np.concatenate(parts))
    stream.finish()
    return await collect(stream)


class TestSegments:
    async def test_file_fed_at_once(self, engine: Engine) -> None:
        stream = engine.transcribe(request(interim=False))
        await stream.feed(np.concatenate([silence(1), speech(1, 2, 3), silence(2), speech(4, 5), silence(1)]))
        stream.finish()
        events = await collect(stream)
        assert texts(events) == [("one two three", True), (" four five", True)]
        words = [word for event in events if isinstance(event, Transcript) for word in event.words]
        assert words[0].start_s == pytest.approx(1.0, abs=0.05)
        assert words[3].start_s == pytest.approx(3.75, abs=0.05)
        durations_s = [event.duration_s for event in events if isinstance(event, Transcript)]
        assert durations_s == [pytest.approx(2.25, abs=0.1), pytest.approx(2.5, abs=0.1)]  # with 0.5 s behind speech

    async def test_partials_grow_into_the_final(self, engine: Engine) -> None:
        events = await hear(engine, silence(0.5), speech(*range(1, 10)), silence(1.5))
        found = texts(events)
        assert found[-1] == ("one two three four five six seven eight nine", True)
        partials = [text for text, is_final in found if not is_final]
        assert len(partials) >= 3
        for earlier, later in itertools.pairwise([*partials, found[-1][0]]):
            assert later.startswith(earlier)

    async def test_without_interim_only_finals(self, engine: Engine) -> None:
        events = await hear(engine, speech(*range(1, 10)), silence(1.5), interim=False)
        assert all(is_final for _, is_final in texts(events))

    async def test_a_pause_ends_a_segment_while_the_stream_goes_on(self, engine: Engine) -> None:
        stream = engine.transcribe(request(interim=False, max_silence_s=0.4))
        await feed_slowly(stream, np.concatenate([speech(1, 2, 3), silence(0.6)]))
        event = await asyncio.wait_for(anext(stream), 10)
        assert isinstance(event, Transcript)
        assert (event.text, event.is_final) == ("one two three", True)
        stream.cancel()

    async def test_silence_is_never_decoded(self, engine: Engine, model: FakeRecognizer) -> None:
        decoded = len(model.windows)
        assert await hear(engine, silence(20)) == []
        assert len(model.windows) == decoded

    async def test_quieter_than_min_volume_is_never_decoded(self, engine: Engine, model: FakeRecognizer) -> None:
        decoded = len(model.windows)
        assert await hear(engine, silence(1), speech(2, 2, 2), silence(2), min_volume=0.3) == []
        assert len(model.windows) == decoded

    async def test_a_click_is_no_speech(self, engine: Engine, model: FakeRecognizer) -> None:
        decoded = len(model.windows)
        click = np.full(1000, 0.5, np.float32)
        assert await hear(engine, silence(1), click, silence(1), click, silence(1)) == []
        assert len(model.windows) == decoded

    async def test_an_unchanged_window_is_not_decoded_again(self, engine: Engine, model: FakeRecognizer) -> None:
        """The partial in the pause has heard everything: it becomes the final text without another step."""
        stream = engine.transcribe(request(max_silence_s=1.0))
        await feed_slowly(stream, np.concatenate([speech(1, 2, 3, 4), silence(0.8)]))
        decoded = len(model.windows)
        await feed_slowly(stream, silence(0.5))
        stream.finish()
        assert finals(await collect(stream)) == "one two three four"
        assert len(model.windows) == decoded


class TestLongSpeech:
    async def test_is_cut_at_the_quietest_place(self, engine: Engine, model: FakeRecognizer) -> None:
        stream = engine.transcribe(request(interim=False, max_silence_s=2.0))
        part = np.concatenate([speech(*([3] * 36)), silence(0.5)])
        await stream.feed(np.concatenate([part, part, part]))
        stream.finish()
        events = await collect(stream)
        assert finals(events).split() == ["three"] * 108
        assert max(len(window.pcm) for window in model.windows) <= 12.1 * 16_000
        words = [word for event in events if isinstance(event, Transcript) for word in event.words]
        assert all(a.start_s <= b.start_s for a, b in itertools.pairwise(words))

    async def test_a_window_never_exceeds_what_the_model_takes(self) -> None:
        model = FakeRecognizer(max_window_s=5.0)
        engine = build(model)
        await engine.start()
        events = await hear(engine, speech(*([2] * 60)), silence(1), interim=False)
        assert 58 <= len(finals(events).split()) <= 63
        await engine.stop(0)

    async def test_windows_of_a_file_are_batched(self, engine: Engine, model: FakeRecognizer) -> None:
        stream = engine.transcribe(request(interim=False))
        await stream.feed(np.concatenate([np.concatenate([speech(1, 2, 3, 4), silence(1.5)]) for _ in range(40)]))
        stream.finish()
        assert finals(await collect(stream)).split() == ["one", "two", "three", "four"] * 40
        assert max(model.batches) > 1


class TestFinalize:
    async def test_gives_the_text_then_the_answer(self, engine: Engine) -> None:
        stream = engine.transcribe(request(interim=False))
        await stream.feed(np.concatenate([silence(0.3), speech(1, 2)]))
        stream.finalize()
        await stream.feed(np.concatenate([speech(3, 4), silence(0.2)]))
        stream.finalize()
        stream.finalize()
        stream.finish()
        events = await collect(stream)
        assert [event.text if isinstance(event, Transcript) else "-" for event in events] == [
            "one two",
            "-",
            " three four",
            "-",
            "-",
        ]

    async def test_without_audio_only_answers(self, engine: Engine) -> None:
        stream = engine.transcribe(request())
        stream.finalize()
        stream.finish()
        assert await collect(stream) == [TranscriptFlushed()]

    async def test_samples_that_fill_no_frame_are_heard(self, engine: Engine, model: FakeRecognizer) -> None:
        stream = engine.transcribe(request(interim=False))
        pcm = speech(1, 2, 3)[: 23 * 512 + 100]
        await stream.feed(pcm)
        stream.finish()
        await collect(stream)
        assert len(model.windows[-1].pcm) == len(pcm)


class TestTurns:
    async def test_a_turn_with_a_pause_and_a_second_turn(self, engine: Engine) -> None:
        events = await hear(
            engine, silence(0.5), speech(1, 2, 3, 4), silence(0.6), speech(5, 6, 7, 8), silence(2), speech(9, 9), silence(2),
            turns=TurnSettings(),
        )  # fmt: skip
        turns = [event for event in events if isinstance(event, Turn)]
        assert len(turns) == len(events)
        phases = [turn.phase for turn in turns if turn.phase is not TurnPhase.UPDATE]
        assert phases == [
            TurnPhase.START, TurnPhase.EAGER_END, TurnPhase.RESUME, TurnPhase.EAGER_END, TurnPhase.END,
            TurnPhase.START, TurnPhase.EAGER_END, TurnPhase.END,
        ]  # fmt: skip
        eager = [turn.transcript for turn in turns if turn.phase is TurnPhase.EAGER_END]
        assert eager == ["one two three four", "one two three four five six seven eight", "nine nine"]
        assert [turn.transcript for turn in turns if turn.phase is TurnPhase.END] == eager[1:]

    async def test_updates_are_never_revised(self, engine: Engine) -> None:
        events = await hear(engine, speech(*range(1, 10)), silence(0.6), speech(4, 3, 2, 1), silence(2), turns=TurnSettings())
        shown = [event.transcript for event in events if isinstance(event, Turn) and event.transcript]
        assert len(shown) > 4
        for earlier, later in itertools.pairwise(shown):
            assert later.startswith(earlier)

    async def test_close_in_a_turn_ends_it(self, engine: Engine) -> None:
        events = await hear(engine, silence(0.3), speech(1, 2, 3), turns=TurnSettings())
        assert isinstance(events[-1], Turn)
        assert (events[-1].phase, events[-1].transcript) == (TurnPhase.END, "one two three")

    async def test_close_outside_a_turn_says_nothing(self, engine: Engine) -> None:
        assert await hear(engine, silence(2), turns=TurnSettings()) == []

    async def test_close_right_after_speech_began_gives_a_whole_turn(self, engine: Engine) -> None:
        events = await hear(engine, silence(0.32), speech(3)[: 4 * 512], turns=TurnSettings())
        phases = [event.phase for event in events if isinstance(event, Turn)]
        assert phases[0] is TurnPhase.START
        assert phases[-1] is TurnPhase.END

    async def test_settings_may_change_on_the_way(self, engine: Engine) -> None:
        stream = engine.transcribe(request(turns=TurnSettings()))
        stream.update_turns(TurnSettings(eager_end_threshold=0.3, end_threshold=0.05, end_timeout_ms=11200))
        await feed_slowly(stream, np.concatenate([speech(1, 2, 3, 4), silence(1.2), speech(5, 6), silence(3)]))
        stream.finish()
        ends = [event.transcript for event in await collect(stream) if isinstance(event, Turn) and event.phase is TurnPhase.END]
        assert ends == ["one two three four five six"]


class TestLoad:
    async def test_streams_do_not_hear_each_other(self, engine: Engine, model: FakeRecognizer) -> None:
        said = [[1, 2, 3], [4, 5, 6, 7], [8, 9], [2, 4, 6, 8]]
        heard = await asyncio.gather(*(hear(engine, silence(0.2), speech(*words), silence(1.5)) for words in said))
        assert [finals(events) for events in heard] == [" ".join(FakeRecognizer.WORDS[n] for n in words) for words in said]
        assert max(model.batches) > 1

    async def test_feed_waits_while_too_much_is_pending(self) -> None:
        model = FakeRecognizer(step_s=0.02)
        engine = build(model)
        await engine.start()
        stream = engine.transcribe(request(interim=False))
        most = 0
        feeding = asyncio.create_task(stream.feed(np.concatenate([speech(1, 2, 3, 4), silence(1.5)] * 100)))
        while not feeding.done():
            most = max(most, stream._session.pending_samples)
            await asyncio.sleep(0.001)
        stream.finish()
        assert len(finals(await collect(stream)).split()) == 400
        assert most <= (MAX_PENDING_S + PIECE_S) * 16_000
        await engine.stop(0)

    async def test_one_bad_stream_fails_alone(
        self, engine: Engine, model: FakeRecognizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        model.fault_level = 0.85
        good, bad = await asyncio.gather(
            hear(engine, speech(1, 2, 3), silence(1.5)),
            hear(engine, speech(9, 9, 9), silence(1.5), request_id="bad-1"),
            return_exceptions=True,
        )
        assert isinstance(bad, InternalError)
        assert isinstance(good, list)
        assert finals(good) == "one two three"
        assert "bad-1" in caplog.text
        assert engine.snapshot().open_sessions == 0

    async def test_feeding_a_failed_stream_does_not_hang(self, engine: Engine, model: FakeRecognizer) -> None:
        model.fault_level = 0.85
        stream = engine.transcribe(request())
        async with asyncio.timeout(10):
            for _ in range(100):
                await stream.feed(np.concatenate([speech(9, 9, 9), silence(2)]))
        with pytest.raises(InternalError):
            await collect(stream)

    async def test_cancel_frees_the_stream(self, engine: Engine) -> None:
        stream = engine.transcribe(request())
        await stream.feed(speech(1, 2))
        stream.cancel()
        stream.cancel()
        assert await collect(stream) == []
        async with asyncio.timeout(5):
            while engine.snapshot().open_sessions:  # noqa: ASYNC110 - a test looks from outside
                await asyncio.sleep(0.005)

    async def test_too_many_streams(self) -> None:
        engine = build(FakeRecognizer(), max_transcription_sessions=1)
        await engine.start()
        stream = engine.transcribe(request())
        with pytest.raises(Busy) as caught:
            engine.transcribe(request())
        assert caught.value.retry_after_s
        stream.finish()
        assert await collect(stream) == []
        assert engine.snapshot().open_sessions == 0
        engine.transcribe(request()).cancel()
        await engine.stop(0)


def job(due_s: float, length_s: float) -> Job:
    window = Window(0, silence(length_s), True, due_s)
    return Job(cast(Any, None), window, Effort.LIVE)


class TestChoice:
    def test_everybodys_first_window_before_anybodys_second(self) -> None:
        file = [job(0.0, 1), job(0.0, 1), job(0.0, 1)]
        live = [job(5.0, 1)]
        assert choose_jobs([file, live], [], 8, 100, 16_000) == [file[0], live[0], file[1], file[2]]

    def test_finals_before_partials_and_the_oldest_first(self) -> None:
        partials = [job(2.0, 1), job(1.0, 1)]
        final = [job(9.0, 1)]
        assert choose_jobs([final], partials, 8, 100, 16_000) == [final[0], partials[1], partials[0]]

    def test_bounded_by_rows_and_by_audio_but_never_empty(self) -> None:
        many = [[job(0.0, 4)] for _ in range(9)]
        assert len(choose_jobs(many, [], 8, 100, 16_000)) == 8
        assert len(choose_jobs(many, [], 8, 9, 16_000)) == 2
        assert len(choose_jobs(many, [], 8, 1, 16_000)) == 1


class TestLanguage:
    @pytest.fixture
    def model(self) -> FakeRecognizer:
        return FakeRecognizer(languages=("de", "en", "ja"))

    async def test_a_given_language_is_that_of_every_window(self, engine: Engine, model: FakeRecognizer) -> None:
        events = await hear(engine, speech(1, 2, 3), silence(1.5), language="ja")
        assert {event.language for event in events if isinstance(event, Transcript)} == {"ja"}
        assert {window.language for window in model.windows[1:]} == {"ja"}

    async def test_the_first_window_that_is_long_enough_decides(self, engine: Engine, model: FakeRecognizer) -> None:
        model.spoken = "de"
        stream = engine.transcribe(request(language=None, interim=False))
        await feed_slowly(stream, np.concatenate([speech(1, 2), silence(1.5), speech(*[3] * 16), silence(1.5)]))
        model.spoken = "ja"
        await feed_slowly(stream, np.concatenate([speech(4, 5), silence(1.5)]))
        stream.finish()
        events = await collect(stream)
        assert [event.language for event in events if isinstance(event, Transcript)] == ["de", "de", "de"]
        assert [window.language for window in model.windows[1:]] == [None, None, "de"]

    async def test_a_language_the_model_lacks_is_refused_with_the_list(self, engine: Engine) -> None:
        with pytest.raises(InvalidRequest, match=r"language: .*fr.*de, en, ja"):
            engine.transcribe(request(language="fr"))


async def test_the_only_language_needs_no_detection(engine: Engine, model: FakeRecognizer) -> None:
    await hear(engine, speech(1, 2, 3), silence(1.5), language=None)
    assert {window.language for window in model.windows[1:]} == {"en"}


async def test_what_is_cut_off_is_told_and_counted(model: FakeRecognizer) -> None:
    model.truncates = True
    metrics = Metrics()
    engine = build(model, metrics)
    await engine.start()
    events = await hear(engine, speech(1, 2, 3), silence(1.5))
    await engine.stop(0)
    assert [event.truncated for event in events if isinstance(event, Transcript) and event.is_final] == [True]
    assert metrics.registry.get_sample_value("descant_truncated_transcripts_total", {"model": "fake"}) == 1.0
