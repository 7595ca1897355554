"""A gRPC client against `descant serve` with the embedded models."""

import grpc.aio
import numpy as np

from server.bench.process import ServerProcess
from server.pb import speech_pb2 as pb
from server.pb import speech_pb2_grpc
from tests.server.rpc.messages import FINALIZE, converse, kinds, spoken, text

SENTENCE = "The children went to the river. "


async def test_speech_out_and_back_in(descant_server: ServerProcess) -> None:
    async with grpc.aio.insecure_channel(descant_server.grpc) as channel:
        voices = await speech_pb2_grpc.VoicesStub(channel).ListVoices(pb.ListVoicesRequest())  # type: ignore[no-untyped-call]
        assert len(voices.voices) >= 3
        first = pb.SynthesizeRequest(
            config=pb.SynthesisConfig(
                model="sonic-turbo",
                voices=[pb.VoiceShare(voice=voices.voices[0].id)],
                audio=pb.AudioFormat(encoding=pb.ENCODING_PCM_F32LE, sample_rate=16_000),
                times=pb.WantedTimes(words=True),
            )
        )
        speech = speech_pb2_grpc.SpeechStub(channel)  # type: ignore[no-untyped-call]
        said = await converse(speech.Synthesize, first, text(SENTENCE))
        pcm = spoken(said)
        assert 1.0 < len(pcm) / 16_000 < 5.0
        assert float(np.sqrt(np.mean(np.square(pcm)))) > 0.01
        words = [item.text for response in said for item in response.words.items]
        assert words == SENTENCE.split()
        assert 0 < said[-1].done.first_byte_ms < 2000

        config = pb.TranscriptionConfig(model="ink-whisper", encoding=pb.ENCODING_PCM_F32LE, sample_rate=16_000)
        pieces = [pb.TranscribeRequest(audio=pcm[start : start + 1600].tobytes()) for start in range(0, len(pcm), 1600)]
        ears = speech_pb2_grpc.TranscriptionStub(channel)  # type: ignore[no-untyped-call]
        heard = await converse(ears.Transcribe, pb.TranscribeRequest(config=config), *pieces, FINALIZE)
        assert kinds(heard)[-2:] == ["finalized", "done"]
        final = "".join(response.transcript.text for response in heard if response.transcript.is_final)
        # How well it hears is for benchmarks/word_error_rate.py to say; here, that words come back through the wire.
        assert 3 <= len(final.split()) <= 12
