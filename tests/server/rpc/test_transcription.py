import asyncio
from typing import Any

import grpc
import numpy as np
import pytest

from server.pb import speech_pb2 as pb
from tests.fakes import silence, speech
from tests.server.rpc.conftest import Launch, Running
from tests.server.rpc.messages import FINALIZE, audio, converse, kinds, listen, refused, rest_of

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def finals(responses: list[Any]) -> str:
    return "".join(
        response.transcript.text
        for response in responses
        if response.WhichOneof("message") == "transcript" and response.transcript.is_final
    )


async def test_a_whole_stream_ends_in_a_final_transcript(running: Running) -> None:
    responses = await converse(running.transcription.Transcribe, listen(), audio(speech(1, 2, 3)), audio(silence(0.5)))
    assert finals(responses).split() == ["one", "two", "three"]
    assert kinds(responses)[-1] == "done"
    last = [response.transcript for response in responses if response.WhichOneof("message") == "transcript"][-1]
    assert last.is_final
    assert last.language == "en"
    words = [word for r in responses if r.transcript.is_final for word in r.transcript.words]
    assert [word.text.strip() for word in words] == ["one", "two", "three"]
    assert [word.start_s for word in words] == pytest.approx([0.0, 0.25, 0.5], abs=0.05)


async def test_a_second_recognizer_answers_to_its_name(running: Running) -> None:
    asked = listen(model="second_recognizer", language="ja")
    responses = await converse(running.transcription.Transcribe, asked, audio(speech(1, 2, 3)), audio(silence(0.5)))
    assert finals(responses).split() == ["one", "two", "three"]
    assert {window.language for window in running.second_recognizer.windows if len(window.pcm)} >= {"ja"}
    assert "ja" not in {window.language for window in running.recognizer.windows}


async def test_partials_come_while_audio_flows(running: Running) -> None:
    call = running.transcription.Transcribe()
    await call.write(listen())
    responses: list[Any] = []

    async def read_until_partial() -> None:
        while True:
            responses.append(await call.read())
            if responses[-1].WhichOneof("message") == "transcript" and not responses[-1].transcript.is_final:
                return

    reader = asyncio.create_task(read_until_partial())
    for level in (1, 2, 3, 4, 5, 6, 7, 8):
        await call.write(audio(speech(level)))
        await asyncio.sleep(0.02)
    await asyncio.wait_for(reader, 10)
    assert "one" in responses[-1].transcript.text
    await call.done_writing()
    assert "eight" in finals(responses + await rest_of(call))


async def test_no_partials_and_no_words_where_they_are_not_wanted(running: Running) -> None:
    call = running.transcription.Transcribe()
    await call.write(listen(partials=False, words=False))
    for level in (1, 2, 3, 4, 5, 6, 7, 8):
        await call.write(audio(speech(level)))
        await asyncio.sleep(0.02)
    await call.done_writing()
    transcripts = [r.transcript for r in await rest_of(call) if r.WhichOneof("message") == "transcript"]
    assert transcripts
    assert all(transcript.is_final and not transcript.words for transcript in transcripts)


async def test_finalize_gives_the_final_then_its_answer(running: Running) -> None:
    call = running.transcription.Transcribe()
    await call.write(listen())
    await call.write(audio(speech(4, 5)))
    await call.write(FINALIZE)
    before: list[Any] = []
    while not before or before[-1].WhichOneof("message") != "finalized":
        before.append(await asyncio.wait_for(call.read(), 5))
    assert finals(before).split() == ["four", "five"]
    await call.write(FINALIZE)
    assert (await asyncio.wait_for(call.read(), 5)).WhichOneof("message") == "finalized"
    await call.write(audio(speech(6)))
    await call.done_writing()
    assert finals(await rest_of(call)).split() == ["six"]


@pytest.mark.parametrize("encoding", [pb.ENCODING_PCM_S16LE, pb.ENCODING_PCM_MULAW])
async def test_messages_may_cut_samples_and_come_at_another_rate(running: Running, encoding: int) -> None:
    from server.audio.encodings import ENCODERS
    from server.requests.audio_format import Encoding

    at_8k = np.concatenate([np.full(2000, level, dtype=np.float32) for level in (0.3, 0.7)])
    kind = Encoding.PCM_S16LE if encoding == pb.ENCODING_PCM_S16LE else Encoding.PCM_MULAW
    data = ENCODERS[kind](at_8k)
    pieces = [pb.TranscribeRequest(audio=data[start : start + 333]) for start in range(0, len(data), 333)]
    responses = await converse(running.transcription.Transcribe, listen(encoding=encoding, sample_rate=8000), *pieces)
    assert finals(responses).split() == ["three", "seven"]


async def test_silence_gives_no_words(running: Running) -> None:
    responses = await converse(running.transcription.Transcribe, listen(), audio(silence(3)))
    assert finals(responses) == ""
    assert kinds(responses)[-1] == "done"


async def test_turns(running: Running) -> None:
    call = running.transcription.Transcribe()
    await call.write(listen(turns=pb.TurnSettings(end_timeout_ms=700)))
    for piece in (silence(0.3), speech(1, 2, 3, 4), silence(3.0), speech(5, 6), silence(3.0)):
        for start in range(0, len(piece), 1600):
            await call.write(audio(piece[start : start + 1600]))
            await asyncio.sleep(0)
    await call.done_writing()
    responses = await rest_of(call)
    assert set(kinds(responses)) == {"turn", "done"}
    turns = [response.turn for response in responses if response.WhichOneof("message") == "turn"]
    assert turns[0].phase == pb.TURN_PHASE_START
    ends = [turn for turn in turns if turn.phase == pb.TURN_PHASE_END]
    assert [turn.transcript.split() for turn in ends] == [["one", "two", "three", "four"], ["five", "six"]]
    assert ends[0].at_s < ends[1].at_s


async def test_turn_settings_may_change_and_are_checked(running: Running) -> None:
    change = pb.TranscribeRequest(turns=pb.TurnSettings(end_timeout_ms=1000))
    responses = await converse(running.transcription.Transcribe, listen(turns=pb.TurnSettings()), change, audio(silence(0.2)))
    assert kinds(responses) == ["done"]
    wrong = pb.TranscribeRequest(turns=pb.TurnSettings(end_threshold=0.9))
    code, message, trailing = await refused(converse(running.transcription.Transcribe, listen(turns=pb.TurnSettings()), wrong))
    assert (code, trailing["descant-field"]) == (INVALID, "turns.end_threshold")
    assert "0.05 to 0.5" in message


async def test_cancel_message(running: Running) -> None:
    call = running.transcription.Transcribe()
    await call.write(listen())
    await call.write(audio(speech(1, 2)))
    await call.write(pb.TranscribeRequest(cancel=pb.Cancel()))
    responses = await rest_of(call)
    assert responses[-1].done.cancelled
    await running.until_free()


async def test_cancelling_the_call_frees_its_place(running: Running) -> None:
    call = running.transcription.Transcribe()
    await call.write(listen())
    await call.initial_metadata()
    assert running.engine.snapshot().open_sessions == 1
    call.cancel()
    await running.until_free()


async def test_two_clients_hear_only_their_own(running: Running) -> None:
    first, second = await asyncio.gather(
        converse(running.transcription.Transcribe, listen(), *(audio(speech(n)) for n in (1, 2, 3, 4))),
        converse(running.transcription.Transcribe, listen(), *(audio(speech(n)) for n in (5, 6, 7, 8))),
    )
    assert finals(first).split() == ["one", "two", "three", "four"]
    assert finals(second).split() == ["five", "six", "seven", "eight"]


async def test_keyterms_reach_the_recogniser(running: Running) -> None:
    given = listen(keyterms=["Saoirse  Ronan", "", "Nguyen", "Nguyen"])
    await converse(running.transcription.Transcribe, given, audio(speech(1)))
    assert {window.keyterms for window in running.recognizer.windows if len(window.pcm)} == {(), ("Saoirse Ronan", "Nguyen")}
    heard = len(running.recognizer.windows)
    await converse(running.transcription.Transcribe, listen(), audio(speech(1)))
    assert {window.keyterms for window in running.recognizer.windows[heard:]} == {()}


BAD_CONFIGS: list[tuple[dict[str, Any], grpc.StatusCode, str, str]] = [
    ({"model": None}, INVALID, "config.model", "ink-whisper"),
    ({"model": "ink-9"}, grpc.StatusCode.NOT_FOUND, "config.model", "ink-whisper"),
    ({"model": "whisper-base"}, grpc.StatusCode.NOT_FOUND, "config.model", "--recognition-model whisper-base"),
    ({"model": "reader"}, grpc.StatusCode.NOT_FOUND, "config.model", "'reader' speaks; accepted values: fake_recognizer"),
    ({"model": "second_recognizer", "language": "en"}, INVALID, "config.language", "accepted values: de, ja"),
    ({"encoding": None}, INVALID, "config.encoding", "ENCODING_PCM_S16LE"),
    ({"encoding": 99}, INVALID, "config.encoding", "ENCODING_PCM_F16LE"),
    ({"sample_rate": None}, INVALID, "config.sample_rate", "4000 to 192000"),
    ({"sample_rate": 3000}, INVALID, "config.sample_rate", "4000 to 192000"),
    ({"language": "tlh"}, INVALID, "config.language", "en"),
    ({"min_volume": 1.5}, INVALID, "config.min_volume", "0 to 1"),
    ({"min_volume": float("nan")}, INVALID, "config.min_volume", "0 to 1"),
    ({"max_silence_s": 0.0}, INVALID, "config.max_silence_s", "0.01 to 60"),
    ({"turns": pb.TurnSettings(start_threshold=0.1)}, INVALID, "config.turns.start_threshold", "0.5 to 0.9"),
    (
        {"turns": pb.TurnSettings(start_threshold=0.5, eager_end_threshold=0.6)},
        INVALID,
        "config.turns.eager_end_threshold",
        "less than config.turns.start_threshold",
    ),
    ({"turns": pb.TurnSettings(end_timeout_ms=1)}, INVALID, "config.turns.end_timeout_ms", "640 to 11200"),
    ({"keyterms": ["a"] * 101}, INVALID, "config.keyterms", "at most 100 terms"),
    ({"keyterms": ["a" * 1201]}, INVALID, "config.keyterms", "1200 characters"),
]


@pytest.mark.parametrize(("changes", "code", "field", "accepted"), BAD_CONFIGS)
async def test_bad_configuration(
    running: Running, changes: dict[str, Any], code: grpc.StatusCode, field: str, accepted: str
) -> None:
    answered, message, trailing = await refused(converse(running.transcription.Transcribe, listen(**changes)))
    assert answered == code
    assert trailing["descant-field"] == field
    assert message.startswith(f"{field}: ")
    assert accepted in message
    assert running.engine.snapshot().open_sessions == 0


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        ([], "config"),
        ([audio(speech(1))], "config"),
        ([listen(), listen()], "config"),
        ([listen(), pb.TranscribeRequest()], "message"),
        ([listen(), pb.TranscribeRequest(turns=pb.TurnSettings())], "turns"),
    ],
    ids=["nothing", "audio first", "twice", "empty later", "turns without turns"],
)
async def test_bad_conversations(running: Running, requests: list[pb.TranscribeRequest], field: str) -> None:
    code, _, trailing = await refused(converse(running.transcription.Transcribe, *requests))
    assert (code, trailing["descant-field"]) == (INVALID, field)


async def test_a_client_that_sends_nothing_is_ended(launch: Launch) -> None:
    running = await launch(limits={"transcription_idle_s": 0.2})
    call = running.transcription.Transcribe()
    await call.write(listen())
    code, message, _ = await refused(rest_of(call))
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "0.2 s" in message
    await running.until_free()


async def test_a_language_may_name_its_region(running: Running) -> None:
    heard = await converse(running.transcription.Transcribe, listen(language="en-US"))
    assert kinds(heard) == ["done"]
