import asyncio
import time

import grpc
import numpy as np
import pytest

from models.speech import Generation, Utterance
from server.audio.files import decode_file
from server.pb import speech_pb2 as pb
from server.requests.audio_format import AudioFormat
from server.requests.speech import Replacement
from tests.fakes import ANNA, BERT, CLEO, READER_RATE_HZ, read_aloud
from tests.server.rpc.conftest import Launch, Running
from tests.server.rpc.messages import CANCEL, FLUSH, config, converse, kinds, refused, rest_of, sound, spoken, text

PHONE_SAMPLES = 1200


async def test_text_in_pieces_is_one_stream(running: Running) -> None:
    whole = await converse(running.speech.Synthesize, config(), text("Abc de. Fgh."))
    pieces = await converse(running.speech.Synthesize, config(), *(text(piece) for piece in ["Ab", "c d", "e. F", "", "gh."]))
    assert len(spoken(whole)) == 8 * PHONE_SAMPLES
    np.testing.assert_array_equal(spoken(pieces), spoken(whole))
    assert kinds(whole)[-1] == "done"
    assert kinds(whole).count("done") == 1
    assert not whole[-1].done.cancelled


async def test_audio_comes_before_the_text_has_ended(running: Running) -> None:
    call = running.speech.Synthesize()
    await call.write(config())
    await call.write(text("Abc. Not yet"))
    first = await asyncio.wait_for(call.read(), 5)
    assert first.WhichOneof("message") == "audio"
    await call.done_writing()
    rest = await rest_of(call)
    assert len(spoken([first, *rest])) == 9 * PHONE_SAMPLES


async def test_done_tells_the_stages_of_the_first_byte(running: Running) -> None:
    responses = await converse(running.speech.Synthesize, config(), text("Abc."))
    done = responses[-1].done
    assert [stage.stage for stage in done.stages] == ["text", "queue", "first_step", "first_audio", "encode", "send"]
    assert sum(stage.duration_ms for stage in done.stages) == pytest.approx(done.first_byte_ms, abs=0.01)
    assert 0 < done.first_byte_ms < 5000
    assert running.metrics.registry.get_sample_value("descant_first_byte_seconds_count", {"model": "fake"}) == 1


async def test_wanted_times(running: Running) -> None:
    wanted = pb.WantedTimes(words=True, phonemes=True)
    responses = await converse(running.speech.Synthesize, config(times=wanted), text("Abc de."))
    assert "normalized_words" not in kinds(responses)
    (words,) = (response.words for response in responses if response.WhichOneof("message") == "words")
    assert [(word.text, word.start_s, word.end_s) for word in words.items] == [("Abc", 0.0, 0.15), ("de.", 0.15, 0.25)]
    (phonemes,) = (response.phonemes for response in responses if response.WhichOneof("message") == "phonemes")
    assert len(phonemes.items) == 5
    assert phonemes.items[-1].end_s == pytest.approx(0.25)
    only_normalized = pb.WantedTimes(normalized_words=True)
    responses = await converse(running.speech.Synthesize, config(times=only_normalized), text("Abc."))
    assert set(kinds(responses)) == {"normalized_words", "audio", "done"}


async def test_no_times_unless_wanted(running: Running) -> None:
    assert set(kinds(await converse(running.speech.Synthesize, config(), text("Abc.")))) == {"audio", "done"}


async def test_flush_speaks_what_is_incomplete_and_is_answered_in_order(running: Running) -> None:
    call = running.speech.Synthesize()
    await call.write(config())
    await call.write(text("Abc"))
    await call.write(FLUSH)
    before: list[pb.SynthesizeResponse] = []
    while not before or before[-1].WhichOneof("message") != "flushed":
        before.append(await asyncio.wait_for(call.read(), 5))
    assert len(spoken(before)) == 3 * PHONE_SAMPLES
    assert before[-1].flushed.flush_index == 0
    await call.write(text("de"))
    await call.done_writing()
    after = await rest_of(call)
    assert len(spoken(after)) == 2 * PHONE_SAMPLES
    assert {response.audio.flush_index for response in after if response.WhichOneof("message") == "audio"} == {1}


async def test_cancel_message_stops_at_once(running: Running) -> None:
    running.synthesizer.step_s = 0.02
    call = running.speech.Synthesize()
    await call.write(config())
    await call.write(text("Abcdefgh. " * 100))
    await asyncio.wait_for(call.read(), 5)
    await call.write(CANCEL)
    rest = await rest_of(call)
    assert rest[-1].done.cancelled
    assert len(spoken(rest)) < 400 * PHONE_SAMPLES
    await running.until_free()


async def test_cancelling_the_call_frees_the_slot_within_100_ms(running: Running) -> None:
    running.synthesizer.step_s = 0.005
    call = running.speech.Synthesize()
    await call.write(config())
    await call.write(text("Abcdefgh. " * 1000))
    await asyncio.wait_for(call.read(), 5)
    assert running.engine.snapshot().active_sessions == 1
    call.cancel()
    started_s = time.perf_counter()
    await running.until_free()
    assert time.perf_counter() - started_s < 0.1
    assert len(spoken(await converse(running.speech.Synthesize, config(), text("Abc.")))) == 3 * PHONE_SAMPLES


async def test_a_client_that_vanishes_frees_its_slot(running: Running) -> None:
    running.synthesizer.step_s = 0.005
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        method = channel.stream_stream(
            "/descant.v1.Speech/Synthesize",
            request_serializer=pb.SynthesizeRequest.SerializeToString,
            response_deserializer=pb.SynthesizeResponse.FromString,
        )
        call = method()
        await call.write(config())
        await call.write(text("Abcdefgh. " * 1000))
        await asyncio.wait_for(call.read(), 5)
    await running.until_free()


async def test_two_clients_do_not_feel_each_other(running: Running) -> None:
    anna = config()
    bert = config(voices=[pb.VoiceShare(voice=BERT.name)])
    sentence = "Hello there, you. " * 10
    alone = [spoken(await converse(running.speech.Synthesize, first, text(sentence))) for first in (anna, bert)]
    assert not np.array_equal(alone[0], alone[1])
    together = await asyncio.gather(
        converse(running.speech.Synthesize, anna, text(sentence)),
        converse(running.speech.Synthesize, bert, text(sentence)),
        refused(converse(running.speech.Synthesize, config(), pb.SynthesizeRequest())),
    )
    np.testing.assert_array_equal(spoken(together[0]), alone[0])
    np.testing.assert_array_equal(spoken(together[1]), alone[1])


async def test_controls_apply_to_the_text_that_follows(running: Running) -> None:
    twice_as_fast = pb.SynthesizeRequest(controls=pb.Controls(speed=1.25))
    responses = await converse(
        running.speech.Synthesize, config(), text("Abcd. "), FLUSH, twice_as_fast, text("Abcd."),
    )  # fmt: skip
    assert len(spoken(responses)) == 4 * PHONE_SAMPLES + round(4 * PHONE_SAMPLES / 1.25)
    quiet = await converse(running.speech.Synthesize, config(controls=pb.Controls(volume=0.5)), text("Abcd."))
    loud = await converse(running.speech.Synthesize, config(), text("Abcd."))
    np.testing.assert_allclose(spoken(quiet) * 2, spoken(loud), atol=1e-6)


async def test_voice_mixtures(running: Running) -> None:
    shares = [pb.VoiceShare(voice=ANNA.id, weight=3), pb.VoiceShare(voice="bert", weight=1)]
    responses = await converse(running.speech.Synthesize, config(voices=shares), text("Abc."))
    assert len(spoken(responses)) == 3 * PHONE_SAMPLES
    too_many = [pb.VoiceShare(voice=ANNA.id)] * 9
    code, message, trailing = await refused(converse(running.speech.Synthesize, config(voices=too_many)))
    assert (code, trailing["descant-field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "config.voices")
    assert "at most 8" in message


async def test_pronunciation_dictionaries(running: Running) -> None:
    made = running.pronunciations.create("", "names", [Replacement("Abc", "d+efgh")])
    named = config(pronunciation_dict_id=made.id)
    assert len(spoken(await converse(running.speech.Synthesize, named, text("Abc de.")))) == 7 * PHONE_SAMPLES


async def test_audio_formats(running: Running) -> None:
    sentence = text("Abcdefgh ijklmnop.")
    wav = pb.AudioFormat(container=pb.CONTAINER_WAV, encoding=pb.ENCODING_PCM_MULAW, sample_rate=8000)
    data = sound(await converse(running.speech.Synthesize, config(audio=wav), sentence))
    assert data.count(b"RIFF") == 1
    assert len(data) == 58 + 16 * 400
    mp3 = pb.AudioFormat(container=pb.CONTAINER_MP3, sample_rate=24_000, bit_rate=64_000)
    data = sound(await converse(running.speech.Synthesize, config(audio=mp3), sentence))
    assert 12_800 <= len(decode_file(data, max_s=5)) <= 12_800 + 2500
    left_out = await converse(running.speech.Synthesize, config(audio=None), sentence)
    assert len(spoken(left_out)) == 16 * PHONE_SAMPLES * AudioFormat().sample_rate_hz // 24_000


async def test_half_close_without_text_is_done_without_audio(running: Running) -> None:
    responses = await converse(running.speech.Synthesize, config())
    assert kinds(responses) == ["done"]
    assert not responses[0].done.HasField("first_byte_ms")


async def test_request_id_is_in_the_metadata(running: Running) -> None:
    call = running.speech.Synthesize()
    await call.write(config())
    metadata = dict(await call.initial_metadata())
    await call.done_writing()
    assert len(metadata["x-request-id"]) == 36
    _, _, trailing = await refused(converse(running.speech.Synthesize, text("Hello")))
    assert len(trailing["x-request-id"]) == 36


async def test_a_full_server_refuses_with_the_time_to_wait(launch: Launch) -> None:
    running = await launch(limits={"max_speech_sessions": 1, "max_queued_sessions": 0})
    holder = running.speech.Synthesize()
    await holder.write(config())
    await holder.initial_metadata()
    await holder.write(text("Abc. "))
    await asyncio.wait_for(holder.read(), 5)
    code, _, trailing = await refused(converse(running.speech.Synthesize, config(), text("Abc.")))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert trailing["descant-error-code"] == "concurrency_limited"
    assert int(trailing["grpc-retry-pushback-ms"]) > 0
    holder.cancel()
    await running.until_free()
    assert kinds(await converse(running.speech.Synthesize, config(), text("Abc.")))[-1] == "done"


async def test_a_failure_of_the_model_is_an_internal_error_of_its_call_only(running: Running) -> None:
    neighbour = asyncio.create_task(converse(running.speech.Synthesize, config(), text("Abcdefgh. " * 10)))
    code, message, trailing = await refused(converse(running.speech.Synthesize, config(), text("CRASH now.")))
    assert code == grpc.StatusCode.INTERNAL
    assert "asked to fail" not in message
    assert "x-request-id" in trailing
    assert len(spoken(await neighbour)) == 80 * PHONE_SAMPLES


async def test_no_first_message_for_too_long(launch: Launch) -> None:
    running = await launch(limits={"context_idle_s": 0.2})
    call = running.speech.Synthesize()
    code, message, _ = await refused(call.read())
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "0.2 s" in message


async def test_a_client_that_never_reads_loses_its_slot_and_disturbs_nobody(launch: Launch) -> None:
    running = await launch(limits={"stall_timeout_s": 0.5})
    wav = pb.AudioFormat(encoding=pb.ENCODING_PCM_F32LE, sample_rate=48_000)
    call = running.speech.Synthesize()
    await call.write(config(audio=wav))
    await call.write(text("Abcdefgh. " * 1900))
    await call.done_writing()
    other = await converse(running.speech.Synthesize, config(), text("Abcdefgh. " * 10))
    assert len(spoken(other)) == 80 * PHONE_SAMPLES
    await running.until_free()
    code, _, _ = await refused(rest_of(call))
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_model_that_reads_text_and_samples(running: Running) -> None:
    audio = pb.AudioFormat(container=pb.CONTAINER_RAW, encoding=pb.ENCODING_PCM_F32LE, sample_rate=READER_RATE_HZ)
    asked = config(
        model="reader", voices=[pb.VoiceShare(voice=CLEO.id)], audio=audio, seed=8, sampling={"temperature": 0.5},
        instructions="Softly.",
    )  # fmt: skip
    responses = await converse(running.speech.Synthesize, asked, text("Hello there. "), FLUSH, text("Bye."))
    generation = Generation(8, {"temperature": 0.5}, "Softly.")
    wanted = [read_aloud(Utterance(said), CLEO, generation) for said in ("Hello there.", "Bye.")]
    np.testing.assert_array_equal(spoken(responses), np.concatenate(wanted))
    assert [kind for kind in kinds(responses) if kind != "audio"] == ["flushed", "done"]
