"""A family that reads text, gives no times, samples by a seed and begins with steps that give nothing, through the engine."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from models.audio import Pcm
from models.speech import Delivery, Generation, Utterance
from server.engine.engine import Engine
from server.engine.speech.scheduler import Policy, Scheduler
from server.errors import InvalidRequest
from server.requests.speech import Controls, Pronunciations, Replacement, SpeechFlushed, SpokenAudio, SpokenTimes
from tests.fakes import ANNA, CLEO, DAI, READER_RATE_HZ, FakeReader, read_aloud
from tests.server.engine.speech.speech_harness import audio, build, collect, request, say, until

SEEDED = Generation(seed=11)


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader()


@pytest.fixture
async def engine(reader: FakeReader) -> AsyncIterator[Engine]:
    engine = build(reader)
    await engine.start()
    yield engine
    await engine.stop(0)


def asked(**changes: Any) -> dict[str, Any]:
    return {"model": "reader", "voice": CLEO, "generation": SEEDED, **changes}


def aloud(*texts: str, generation: Generation = SEEDED) -> Pcm:
    return np.concatenate([read_aloud(Utterance(text), CLEO, generation) for text in texts])


async def test_says_everything_without_times_and_ends(engine: Engine, reader: FakeReader) -> None:
    events = await say(engine, "Dr. Smith owes $3. ", "He pays.", **asked())
    assert all(isinstance(event, SpokenAudio) for event in events)
    np.testing.assert_array_equal(audio(events), aloud("Dr. Smith owes $3.", "He pays."))
    assert sum(event.start_s == 0.0 for event in events if isinstance(event, SpokenAudio)) == 1
    assert reader.slots_in_use == 0


async def test_flushes_are_answered_after_their_audio(engine: Engine) -> None:
    stream = engine.speak(request(**asked()))
    stream.push("One")
    stream.flush()
    stream.push("Two. Three.")
    stream.flush()
    stream.finish()
    events = await collect(stream)
    assert [event.flush_index for event in events if isinstance(event, SpeechFlushed)] == [0, 1]
    for index, texts in ((0, ("One",)), (1, ("Two.", "Three."))):
        np.testing.assert_array_equal(audio([event for event in events if event.flush_index == index]), aloud(*texts))


async def test_text_that_comes_late_goes_on(engine: Engine) -> None:
    stream = engine.speak(request(**asked()))
    stream.push("One. ")
    first = [await anext(stream)]
    await until(lambda: engine.snapshot().models[0].active == 1)
    await asyncio.sleep(0.05)
    stream.push("Two.")
    stream.finish()
    np.testing.assert_array_equal(audio(first + await collect(stream)), aloud("One.", "Two."))


async def test_more_contexts_than_slots_and_neighbours_change_nothing(engine: Engine) -> None:
    texts = [f"Sentence number {count}." for count in range(12)]
    spoken = await asyncio.gather(*(say(engine, text, **asked()) for text in texts))
    for events, text in zip(spoken, texts, strict=True):
        np.testing.assert_array_equal(audio(events), aloud(text))


async def test_a_cancel_while_nothing_was_given_yet(engine: Engine, reader: FakeReader) -> None:
    stream = engine.speak(request(**asked()))
    stream.push("A sentence that is cancelled.")
    stream.flush()
    await until(lambda: reader.slots_in_use == 1 or bool(reader.read))
    stream.cancel()
    await until(lambda: reader.slots_in_use == 0 and engine.snapshot().open_sessions == 0)
    np.testing.assert_array_equal(audio(await say(engine, "Next.", **asked())), aloud("Next."))


async def test_seed_and_sampling_reach_the_model(engine: Engine) -> None:
    warm = Generation(seed=11, sampling={"temperature": 0.5}, instructions="Whisper.")
    np.testing.assert_array_equal(audio(await say(engine, "One.", **asked(generation=warm))), aloud("One.", generation=warm))
    one, other = [audio(await say(engine, "One.", **asked(generation=Generation()))) for _ in range(2)]
    assert one.shape == other.shape
    assert not np.array_equal(one, other)


async def test_markup_reaches_a_model_that_reads_text(engine: Engine, reader: FakeReader) -> None:
    events = await say(engine, 'One.<break time="120ms"/> <emotion value="sad"/>Two.', **asked())
    assert [utterance for utterance, _ in reader.read][-3:] == [
        Utterance("One."), Utterance("", pause_ms=120.0), Utterance("Two.", delivery=Delivery(emotion="sad")),
    ]  # fmt: skip
    assert len(audio(events)) == (4 + 4) * READER_RATE_HZ // 100 + round(0.12 * READER_RATE_HZ)


async def test_a_language_that_no_front_end_reads(engine: Engine, reader: FakeReader) -> None:
    assert len(audio(await say(engine, "元気ですか？", **asked(voice=DAI, language="ja"))))
    assert reader.read[-1][0] == Utterance("元気ですか？")


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"voice": ANNA}, "voice", "'Anna' is a voice of the model 'fake', not of 'reader'; its voices: "),
    ({"language": "ja"}, "language", f"'Cleo' speaks 'en', not 'ja'; voices that speak it: {DAI.id}"),
    ({"want_words": True}, "add_timestamps", "gives no times of words"),
    ({"want_phonemes": True}, "add_phoneme_timestamps", "gives no times of phonemes"),
    ({"controls": Controls(speed=1.1)}, "generation_config.speed", "controls that it acts on: emotion, instructions"),
    ({"controls": Controls(volume=0.9)}, "generation_config.volume", "does not act on it"),
    ({"controls": Controls(pitch_semitones=1)}, "generation_config.pitch", "does not act on it"),
    ({"controls": Controls(pitch_range=0)}, "generation_config.pitch_range", "does not act on it"),
    ({"generation": Generation(sampling={"top_k": 5})}, "generation_config.sampling", "accepted values: temperature"),
    ({"generation": Generation(sampling={"temperature": 2.5})}, "generation_config.sampling", "accepted values: 0 to 2"),
    ({"generation": Generation(sampling={"temperature": float("nan")})}, "generation_config.sampling", "out of range"),
    ({"normalization": "en-GB"}, "normalization", "reads numbers and signs by itself"),
    ({"pronunciations": Pronunciations((Replacement("a", "b"),))}, "pronunciation_dict_id", "takes no dictionary"),
]


@pytest.mark.parametrize(("changes", "field", "message"), REFUSED, ids=[f"{row[1]}-{i}" for i, row in enumerate(REFUSED)])
async def test_what_the_model_cannot_do_is_refused_before_anything_is_made(
    engine: Engine, reader: FakeReader, changes: dict[str, Any], field: str, message: str
) -> None:
    warmed = len(reader.read)
    with pytest.raises(InvalidRequest) as refusal:
        engine.speak(request(**asked(**changes)))
    assert refusal.value.field == field
    assert refusal.value.message.startswith(f"{field}: ")
    assert message in refusal.value.message
    assert engine.snapshot().open_sessions == 0
    assert len(reader.read) == warmed


async def test_what_it_can_do_is_taken(engine: Engine) -> None:
    for controls in (Controls(), Controls(emotion="neutral"), Controls(emotion="sad")):
        assert len(audio(await say(engine, "One.", **asked(controls=controls))))


async def test_later_wishes_are_refused_too_and_end_nothing(engine: Engine) -> None:
    stream = engine.speak(request(**asked()))
    stream.push("One. ")
    with pytest.raises(InvalidRequest, match="does not act on it"):
        stream.set_controls(Controls(speed=1.2))
    with pytest.raises(InvalidRequest, match="add_timestamps"):
        stream.want_times(words=True, phonemes=False)
    stream.want_times(words=False, phonemes=False)
    stream.finish()
    np.testing.assert_array_equal(audio(await collect(stream)), aloud("One."))


async def test_phones_in_the_text_end_the_context_with_an_error(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="cannot speak the phones"):
        await say(engine, "A <<k|æ|t>>.", **asked())
    assert len(audio(await say(engine, "A cat.", **asked())))


async def test_a_models_own_word_times_are_the_words_times() -> None:
    engine = build(FakeReader(times="words"))
    await engine.start()
    events = await say(engine, "It is <spell>5b</spell>. Good bye.", **asked(want_words=True))
    times = [event for event in events if isinstance(event, SpokenTimes)]
    assert [[word.word for word in event.written] for event in times] == [["It", "is", "5b", "."], ["Good", "bye."]]
    assert [word.word for word in times[0].normalized] == ["It", "is", "5", "b", "."]
    assert [word.end_s for word in times[0].written] == pytest.approx([0.02, 0.05, 0.09, 0.11])
    assert [word.start_s for word in times[0].written] == pytest.approx([0.0, 0.02, 0.05, 0.09])
    assert times[1].written[-1].end_s == pytest.approx(len(audio(events)) / READER_RATE_HZ)
    assert not times[0].phonemes
    with pytest.raises(InvalidRequest, match="no times of phonemes"):
        engine.speak(request(**asked(want_phonemes=True)))
    await engine.stop(0)


def test_steps_without_audio_keep_the_slot_and_the_turn() -> None:
    """A prompt that takes longer to read than an idle context may last, beside a stream that must not run dry."""
    scheduler = Scheduler(2, Policy(idle_s=1.0, stall_s=1.0))
    for session in (1, 2):
        scheduler.submit(session, 0.0)
        scheduler.add_text(session, 1, 0.0)
    assert len(scheduler.plan(0.0).admit) == 2
    scheduler.stepped(1, 0.3, 0, 0.0)
    stepped: Counter[int] = Counter()
    for step in range(1, 400):
        now_s = step * 0.01
        scheduler.observe(1, 0.0, now_s, False)
        plan = scheduler.plan(now_s)
        assert not plan.expire
        assert not plan.reclaim
        stepped.update(plan.step)
        scheduler.measured(plan.step, 0.01)
        for session in plan.step:
            scheduler.stepped(session, 0.3 if session == 1 else 0.0, 0, now_s)
    assert stepped[2] > 300, "who has no audio yet comes first"
    assert stepped[1] * 0.3 > 3.8, "and the other is heard without a gap"
