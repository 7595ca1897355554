"""Whatever JSON comes, a body becomes a valid request or a refusal that names its field; nothing else."""

import json
import math
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.api.body import parse_json
from server.api.call import Call
from server.api.schemas import FILE_CONTAINERS, SpeechBody
from server.api.versions import counts_flushes_from_zero, default_buffer_delay_ms, parse_version
from server.config import Settings
from server.errors import DescantError, InvalidRequest
from server.requests.audio_format import OUTPUT_SAMPLE_RATES_HZ
from server.requests.locales import primary_language
from server.requests.model_ids import build_catalog
from server.requests.speech import PITCH_RANGE_SEMITONES, SPEED_RANGE, VOLUME_RANGE
from server.services import Services
from server.storage.keys import KeyStore
from server.storage.own_voices import OwnVoices
from server.storage.pronunciations import PronunciationStore
from server.storage.voices import VoiceStore
from tests.fakes import ANNA, BERT, MAKERS
from tests.server.api.harness import RAW, speech_body

SERVICES = Services(
    engine=cast(Any, None),
    voices=VoiceStore({"fake": [ANNA, BERT]}, OwnVoices(Path("unused")), MAKERS),
    catalog=build_catalog(["fake"], ["fake_recognizer"], {}),
    keys=KeyStore(Path("unused")),
    settings=Settings(),
    metrics=cast(Any, None),
    pronunciations=PronunciationStore(Path("unused")),
    cloning=cast(Any, None),
)
CALL = Call(SERVICES, "request", 0.0, version=date(2026, 8, 14))

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6
)
config = st.fixed_dictionaries({}, optional=dict.fromkeys(("speed", "volume", "pitch", "emotion"), values))
audio = st.fixed_dictionaries({}, optional=dict.fromkeys(("container", "encoding", "sample_rate", "bit_rate"), values))
voice = st.fixed_dictionaries({}, optional={"id": values, "embedding": values, "__experimental_controls": config})
wild = st.fixed_dictionaries(
    {},
    optional={
        **{name: values for name in SpeechBody.model_fields if name != "continue_"},
        "continue": values,
        "generation_config": config | values,
        "output_format": st.fixed_dictionaries(cast(Any, {name: st.just(value) for name, value in RAW.items()}))
        | audio
        | values,
        "voice": st.just(ANNA.id) | voice | values,
    },
)


@given(wild)
def test_any_json_is_a_request_or_a_named_refusal(fields: dict[str, Any]) -> None:
    fields = {"model_id": "sonic-3", "transcript": "hi", "voice": ANNA.id, "output_format": RAW, **fields}
    refusal: DescantError | None = None
    try:
        body = SpeechBody.check(parse_json(json.dumps(fields)))
        request = body.to_request(CALL, 0.0)
        audio_format = body.audio_format(FILE_CONTAINERS)
    except DescantError as error:
        refusal = error
    if refusal is not None:
        assert refusal.field is not None
        assert refusal.message.startswith(refusal.field)
        assert refusal.http_status in (400, 404)
        return
    assert audio_format.sample_rate_hz in OUTPUT_SAMPLE_RATES_HZ
    for value, (lowest, highest) in (
        (request.controls.speed, SPEED_RANGE),
        (request.controls.volume, VOLUME_RANGE),
        (request.controls.pitch_semitones, PITCH_RANGE_SEMITONES),
    ):
        assert math.isfinite(value)
        assert lowest <= value <= highest


@pytest.mark.parametrize(
    ("version", "delay_ms", "zero_based"),
    [("2024-06-10", 0, True), ("2024-11-13", 0, True), ("2025-04-16", 3000, False), ("2099-12-31", 3000, False)],
)
def test_what_a_version_decides(version: str, delay_ms: int, zero_based: bool) -> None:
    parsed = parse_version(version)
    assert default_buffer_delay_ms(parsed) == delay_ms
    assert counts_flushes_from_zero(parsed) is zero_based
    call = Call(SERVICES, "request", 0.0, version=parsed)
    assert SpeechBody.check(speech_body()).to_request(call, 0.0).max_buffer_delay_ms == delay_ms
    assert SpeechBody.check(speech_body(max_buffer_delay_ms=70)).to_request(call, 0.0).max_buffer_delay_ms == 70


def test_engine_gets_what_was_asked_for() -> None:
    body = speech_body(
        voice={"mode": "id", "id": BERT.id},
        language="en-GB",
        normalization="off",
        generation_config={"speed": 1.25, "volume": 0.5, "pitch": -2, "emotion": "Happy"},
    )
    request = SpeechBody.check(body).to_request(CALL, 12.5)
    assert (request.model, request.voice, request.language, request.normalization) == ("fake", BERT, "en", "off")
    controls = request.controls
    assert (controls.speed, controls.volume, controls.pitch_semitones, controls.emotion) == (1.25, 0.5, -2.0, "happy")
    assert (request.request_id, request.received_s) == ("request", 12.5)


def test_language_tags() -> None:
    assert primary_language("EN_us", ("de", "en"), "language") == "en"
    for wrong in ("", "e", "english", "en us", "fr"):
        with pytest.raises(InvalidRequest, match="accepted values: de, en"):
            primary_language(wrong, ("de", "en"), "language")
