"""flite and espeak-ng inside this process, by ctypes: waves with the times of their phones.

flite: Debian packages ``libflite1``. espeak-ng: the wheel ``espeakng-loader`` (1.52, data included).
Only training tools and benchmarks use this file; the server never does.
"""

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Speech:
    """A synthesised utterance; ``phones`` holds (symbol, end in samples) and covers the whole of it."""

    pcm: Samples
    sample_rate_hz: int
    phones: tuple[tuple[str, int], ...]
    words: tuple[tuple[int, int], ...] = ()
    """(first character, start in samples); espeak-ng only, which counts some pairs ("in the") as one word."""


class _FliteWave(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    ]


class _FliteVoice(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("features", ctypes.c_void_p)]


FLITE_MEAN_F0_HZ = {"rms": 95.0, "slt": 170.0, "awb": 130.0, "kal16": 95.0}


class Flite:
    """flite's voices, about 100 times faster than real time on one core."""

    def __init__(self, voices: tuple[str, ...] = ("rms", "slt", "awb")) -> None:
        self._lib = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
        for name in ("usenglish", "cmulex"):
            ctypes.CDLL(f"libflite_{name}.so.1", mode=ctypes.RTLD_GLOBAL)
        self._declare()
        self._lib.flite_init()
        self._voices: dict[str, int] = {}
        for voice in voices:
            library = ctypes.CDLL(f"libflite_cmu_us_{voice}.so.1", mode=ctypes.RTLD_GLOBAL)
            register = getattr(library, f"register_cmu_us_{voice}")
            register.restype, register.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
            self._voices[voice] = register(None)

    def _declare(self) -> None:
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        for name, result, arguments in (
            ("flite_synth_text", pointer, [text, pointer]),
            ("utt_wave", ctypes.POINTER(_FliteWave), [pointer]),
            ("utt_relation", pointer, [pointer, text]),
            ("relation_head", pointer, [pointer]),
            ("item_next", pointer, [pointer]),
            ("item_feat_string", text, [pointer, text]),
            ("item_feat_float", ctypes.c_float, [pointer, text]),
            ("delete_utterance", None, [pointer]),
            ("feat_set_float", None, [pointer, text, ctypes.c_float]),
        ):
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments

    def speak(self, text: str, voice: str, stretch: float = 1.0, f0_ratio: float = 1.0) -> Speech:
        lib, pointer = self._lib, self._voices[voice]
        features = ctypes.cast(pointer, ctypes.POINTER(_FliteVoice))[0].features
        lib.feat_set_float(features, b"duration_stretch", stretch)
        if f0_ratio != 1.0 or voice != "kal16":
            lib.feat_set_float(features, b"int_f0_target_mean", FLITE_MEAN_F0_HZ[voice] * f0_ratio)
        utterance = lib.flite_synth_text(text.encode("ascii", "ignore"), pointer)
        wave = lib.utt_wave(utterance)[0]
        pcm = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).copy()
        phones: list[tuple[str, int]] = []
        item = lib.relation_head(lib.utt_relation(utterance, b"Segment"))
        while item:
            end = lib.item_feat_float(item, b"end")
            phones.append((lib.item_feat_string(item, b"name").decode(), round(end * wave.sample_rate)))
            item = lib.item_next(item)
        rate = wave.sample_rate
        lib.delete_utterance(utterance)
        return Speech(pcm, rate, tuple(phones))


class _EspeakId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _EspeakEvent(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("uid", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EspeakId),
    ]


_EspeakCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_EspeakEvent))
_WORD_EVENT, _PHONEME_EVENT = 1, 7
_RATE, _PITCH, _RANGE = 1, 3, 4
_SYNCHRONOUS, _PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 2, 0x1, 0x2, 0x8000


class Espeak:
    """espeak-ng: formant synthesis, about 1000 times faster than real time. One per process."""

    def __init__(self) -> None:
        import espeakng_loader

        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self.sample_rate_hz: int = self._lib.espeak_Initialize(
            _SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(),
            _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT,
        )  # fmt: skip
        self._lib.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        self._lib.espeak_Synth.argtypes = [
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
            ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        self._pieces: list[Samples] = []
        self._starts: list[tuple[str, int]] = []
        self._words: list[tuple[int, int]] = []
        self._callback = _EspeakCallback(self._receive)  # kept: ctypes does not hold a reference

    def _receive(self, wave: "ctypes._Pointer[ctypes.c_short]", count: int, events: object) -> int:
        if count > 0:
            self._pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type != 0:  # type: ignore[index]
            event = events[index]  # type: ignore[index]
            if event.type == _WORD_EVENT:
                self._words.append((event.text_position - 1, event.sample))
            elif event.type == _PHONEME_EVENT:
                symbol = event.id.string.decode("utf-8", "ignore").strip("ˈˌ' ")
                self._starts.append((symbol, event.sample))
            index += 1
        return 0

    def speak(self, text: str, voice: str, rate: int = 175, pitch: int = 50, pitch_range: int = 50) -> Speech:
        """``voice`` is an identifier such as ``gmw/en-US+m3``. Raises ValueError if there is none."""
        self._lib.espeak_SetSynthCallback(self._callback)  # of this instance, should there be several in turn
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._lib.espeak_SetParameter(parameter, value, 0)
        self._pieces.clear()
        self._starts.clear()
        self._words.clear()
        encoded = text.encode() + b"\0"
        self._lib.espeak_Synth(encoded, len(encoded), 0, 1, 0, 1, None, None)
        self._lib.espeak_Synchronize()
        pcm = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)
        ends = [start for _, start in self._starts[1:]] + [len(pcm)]
        phones = tuple((symbol or "pau", end) for (symbol, _), end in zip(self._starts, ends, strict=True))
        return Speech(pcm, self.sample_rate_hz, phones, tuple(self._words))
