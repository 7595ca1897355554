"""flite as a teacher: a ctypes binding that returns what its voices are made of.

The CLUSTERGEN voices (rms, slt, awb) are parametric: for every 5 ms a frame of
fundamental frequency, mel-cepstrum and five band-wise voicing strengths drives
a pulse-plus-noise vocoder. All of these are read here, so that a student learns
from exact targets instead of estimating them from audio. Pronunciations are
ours: each token carries its phones, flite adds only prosody and sound.

Needs Debian's ``libflite1`` (2.2), which belongs to training alone. Sources of
the facts used here: flite 2.2, ``src/cg`` and ``src/synth`` (struct layouts,
order of the synthesis modules, what the tracks contain).
"""

import ctypes as c
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

FRAME_S = 0.005
VOICES = ("rms", "slt", "awb")


@dataclass(frozen=True, slots=True)
class FliteSegment:
    """One phone that flite spoke; ``token`` is -1 for a pause."""

    phone: str
    end_s: float
    token: int
    stress: int


@dataclass(frozen=True, slots=True)
class FliteSpeech:
    """One utterance. N frames lie at 0, 5, 10 ... ms; the audio between frames n-1 and n
    interpolates their parameters, so there are N-1 stretches of 5 ms of audio."""

    pcm: NDArray[np.int16]
    sample_rate_hz: int
    segments: tuple[FliteSegment, ...]
    f0_hz: NDArray[np.float32]
    """[N], 0 where flite uses noise only."""
    mel_cepstrum: NDArray[np.float32]
    """[N, 25], natural log amplitude of int16 samples, before the post-filter."""
    voicing: NDArray[np.float32]
    """[N, 5], share of pulses in each band of `VocoderConstants.band_filters`."""


@dataclass(frozen=True, slots=True)
class VocoderConstants:
    alpha: float
    beta: float
    gain: float
    band_filters: NDArray[np.float64]
    """[5, taps], impulse responses at 16 kHz."""


class _Track(c.Structure):
    _fields_ = [("type", c.c_char_p), ("num_frames", c.c_int), ("num_channels", c.c_int),
                ("times", c.c_void_p), ("frames", c.POINTER(c.POINTER(c.c_float)))]  # fmt: skip


class _Wave(c.Structure):
    _fields_ = [("type", c.c_char_p), ("sample_rate", c.c_int), ("num_samples", c.c_int),
                ("num_channels", c.c_int), ("samples", c.POINTER(c.c_short))]  # fmt: skip


class _Utterance(c.Structure):
    _fields_ = [("features", c.c_void_p)]


class _ClustergenDb(c.Structure):
    _fields_ = [
        *((name, c.c_void_p) for name in ("name", "types")),
        ("num_types", c.c_int), ("sample_rate", c.c_int), ("f0_mean", c.c_float), ("f0_stddev", c.c_float),
        ("num_f0_models", c.c_int), ("f0_trees", c.c_void_p),
        ("num_param_models", c.c_int), ("param_trees", c.c_void_p),
        *((name, c.c_void_p) for name in ("accent_tree", "phrase_tree", "num_channels", "num_frames", "vectors")),
        ("num_channels_accent", c.c_int), ("num_frames_accent", c.c_int),
        *((name, c.c_void_p) for name in ("accent_vectors", "model_min", "model_range", "qtable")),
        ("model_shape", c.c_int), ("frame_advance", c.c_float),
        ("num_dur_models", c.c_int), ("dur_stats", c.c_void_p), ("dur_cart", c.c_void_p),
        ("phone_states", c.c_void_p), ("do_mlpg", c.c_int), ("dynwin", c.c_void_p), ("dynwinsize", c.c_int),
        ("mlsa_alpha", c.c_float), ("mlsa_beta", c.c_float), ("multimodel", c.c_int),
        ("mixed_excitation", c.c_int), ("ME_num", c.c_int), ("ME_order", c.c_int),
        ("me_h", c.POINTER(c.POINTER(c.c_double))), ("spamf0", c.c_int), ("gain", c.c_float),
    ]  # fmt: skip


_P, _S, _F = c.c_void_p, c.c_char_p, c.c_float
_SIGNATURES: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
    ("new_utterance", _P, ()), ("delete_utterance", None, (_P,)), ("utt_init", _P, (_P, _P)),
    ("utt_set_input_text", None, (_P, _S)), ("default_tokenization", _P, (_P,)), ("utt_synth_tokens", _P, (_P,)),
    ("utt_wave", c.POINTER(_Wave), (_P,)), ("utt_relation", _P, (_P, _S)), ("relation_head", _P, (_P,)),
    ("item_next", _P, (_P,)), ("item_set_string", None, (_P, _S, _S)),
    ("item_feat_string", _S, (_P, _S)), ("item_feat_float", _F, (_P, _S)), ("ffeature_string", _S, (_P, _S)),
    ("feat_val", _P, (_P, _S)), ("feat_set_int", None, (_P, _S, c.c_int)),
    ("val_track", c.POINTER(_Track), (_P,)), ("val_cg_db", c.POINTER(_ClustergenDb), (_P,)),
    ("mlpg", c.POINTER(_Track), (c.POINTER(_Track), c.POINTER(_ClustergenDb))),
    ("delete_track", None, (c.POINTER(_Track),)), ("default_textanalysis", _P, (_P,)),
)  # fmt: skip


@cache
def _library() -> Any:
    library = c.CDLL("libflite.so.1", mode=c.RTLD_GLOBAL)
    for part in ("usenglish", "cmulex"):
        c.CDLL(f"libflite_{part}.so.1", mode=c.RTLD_GLOBAL)
    for name, result, arguments in _SIGNATURES:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.flite_init()
    return library


@cache
def _voice(name: str) -> int:
    _library()
    register = getattr(c.CDLL(f"libflite_cmu_us_{name}.so.1", mode=c.RTLD_GLOBAL), f"register_cmu_us_{name}")
    register.restype, register.argtypes = c.c_void_p, (c.c_char_p,)
    return int(register(None))


def speak(voice: str, text: str, phones: Sequence[str] | None = None, *, rough_audio: bool = False) -> FliteSpeech:
    """Synthesise ``text``; ``phones`` gives each white-space token its phones ("hh ax0 l ow1").

    ``rough_audio`` lets flite's filter use 5 instead of 25 coefficients, for callers
    that want the parameters only: 2 times faster.

    Raises ValueError if flite finds another number of tokens than phone strings.
    """
    lib = _library()
    utterance = lib.new_utterance()
    try:
        lib.utt_init(utterance, _voice(voice))
        features = c.cast(utterance, c.POINTER(_Utterance))[0].features
        if rough_audio:
            lib.feat_set_int(features, b"mlsa_speed_param", 20)
        lib.utt_set_input_text(utterance, text.encode("ascii"))
        lib.default_tokenization(utterance)
        count = _number_tokens(utterance, phones)
        if phones is not None and count != len(phones):
            raise ValueError(f"{count} tokens but {len(phones)} pronunciations: {text!r}")
        lib.utt_synth_tokens(utterance)
        return _collect(utterance, features)
    finally:
        lib.delete_utterance(utterance)


def _number_tokens(utterance: int, phones: Sequence[str] | None) -> int:
    """Give every token its index and, if there are any, its phones; return how many tokens there are."""
    lib, count = _library(), 0
    item = lib.relation_head(lib.utt_relation(utterance, b"Token"))
    while item:
        lib.item_set_string(item, b"index", str(count).encode("ascii"))
        if phones is not None and count < len(phones):
            lib.item_set_string(item, b"phones", phones[count].encode("ascii"))
        count += 1
        item = lib.item_next(item)
    return count


def _collect(utterance: int, features: int) -> FliteSpeech:
    lib = _library()
    wave = lib.utt_wave(utterance)[0]
    pcm = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).copy()
    segments = []
    item = lib.relation_head(lib.utt_relation(utterance, b"Segment"))
    while item:
        phone = lib.item_feat_string(item, b"name").decode()
        token = lib.ffeature_string(item, b"R:SylStructure.parent.parent.R:Token.parent.index") or b"0"
        stress = lib.ffeature_string(item, b"R:SylStructure.parent.stress") or b"0"
        is_pause = phone == "pau"
        segments.append(FliteSegment(phone, lib.item_feat_float(item, b"end"), -1 if is_pause else int(token), int(stress)))
        item = lib.item_next(item)
    raw = lib.val_track(lib.feat_val(features, b"param_track"))
    database = lib.val_cg_db(lib.feat_val(features, b"cg_db"))
    smooth = lib.mlpg(raw, database)
    f0_hz = _track_array(raw)[:, 0].copy()
    mel_cepstrum = _track_array(smooth)[:, 1:].copy()
    lib.delete_track(smooth)
    voicing = _track_array(lib.val_track(lib.feat_val(features, b"str_track"))).copy()
    return FliteSpeech(pcm, wave.sample_rate, tuple(segments), f0_hz, mel_cepstrum, voicing)


def _track_array(track: Any) -> NDArray[np.float32]:
    content = track[0]
    rows = [np.ctypeslib.as_array(content.frames[n], (content.num_channels,)) for n in range(content.num_frames)]
    return np.stack(rows).astype(np.float32)


@cache
def vocoder_constants(voice: str) -> VocoderConstants:
    """The constants of a voice's vocoder, read from its database."""
    lib = _library()
    utterance = lib.new_utterance()
    lib.utt_init(utterance, _voice(voice))
    features = c.cast(utterance, c.POINTER(_Utterance))[0].features
    database = lib.val_cg_db(lib.feat_val(features, b"cg_db"))[0]
    filters = np.stack([np.ctypeslib.as_array(database.me_h[k], (database.ME_order,)) for k in range(database.ME_num)])
    result = VocoderConstants(database.mlsa_alpha, database.mlsa_beta, database.gain or 1.0, filters.copy())
    lib.delete_utterance(utterance)
    return result
