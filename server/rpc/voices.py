"""`descant.v1.Voices`: what there is to speak with."""

from typing import Any

from server.pb import speech_pb2, speech_pb2_grpc
from server.requests.locales import canonical_tag, primary_language
from server.rpc.call import answered
from server.services import Services
from server.storage.authentication import Operation


class VoicesService(speech_pb2_grpc.VoicesServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListVoices(  # noqa: N802 - gRPC's spelling
        self, request: speech_pb2.ListVoicesRequest, context: Any
    ) -> speech_pb2.ListVoicesResponse:
        response = speech_pb2.ListVoicesResponse()
        async with answered(self._services, context, Operation("ListVoices", None), field_names={}) as call:
            store = call.voices
            if request.model:
                store = store.of_model(self._services.catalog.speech_model(request.model, "model"))
            wanted = canonical_tag(request.language)
            if wanted:
                primary_language(wanted, store.languages(), "language")
            for voice in store.list():
                if wanted in ("", voice.language, canonical_tag(voice.locale)):
                    response.voices.add(
                        id=voice.id,
                        name=voice.name,
                        description=voice.description,
                        language=voice.language,
                        locale=voice.locale,
                        gender=voice.gender,
                        model=store.model_of(voice),
                    )
        return response
