"""`descant.v1.Voices`: what there is to speak with."""

from typing import Any

from server.errors import InvalidRequest
from server.pb import speech_pb2, speech_pb2_grpc
from server.rpc.call import answered
from server.services import Services


class VoicesService(speech_pb2_grpc.VoicesServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListVoices(  # noqa: N802 - gRPC's spelling
        self, request: speech_pb2.ListVoicesRequest, context: Any
    ) -> speech_pb2.ListVoicesResponse:
        response = speech_pb2.ListVoicesResponse()
        async with answered(self._services, context, field_names={}) as call:
            store = call.voices
            if request.language and request.language not in store.languages():
                raise InvalidRequest.choice("language", request.language, store.languages())
            for voice in store.list():
                if request.language in ("", voice.language):
                    response.voices.add(
                        id=voice.id,
                        name=voice.name,
                        description=voice.description,
                        language=voice.language,
                        locale=voice.locale,
                        gender=voice.gender,
                    )
        return response
