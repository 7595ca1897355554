from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Frame(_message.Message):
    __slots__ = ("kind", "json", "pcm")
    KIND_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    PCM_FIELD_NUMBER: _ClassVar[int]
    kind: str
    json: bytes
    pcm: bytes
    def __init__(self, kind: _Optional[str] = ..., json: _Optional[bytes] = ..., pcm: _Optional[bytes] = ...) -> None: ...
