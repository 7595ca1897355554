"""Festival in a process of its own: diphone and HMM voices, with the times of their phones.

Debian packages ``festival``, ``festlex-cmu``, ``festlex-poslex``, ``festvox-kdlpc16k`` (ked, a diphone
voice, LPC) and ``festvox-us-slt-hts`` (HTS, only for tests). Only training tools and benchmarks use this file.
"""

import subprocess
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from training.ears.synthesizers import Speech

_PROGRAM = """
(define (descant_say text stretch f0 range file)
  (Parameter.set 'Duration_Stretch stretch)
  (set! int_lr_params (list (list 'target_f0_mean f0) (list 'target_f0_std range)
                            (list 'model_f0_mean 170) (list 'model_f0_std 34)))
  (set! spoken (utt.synth (eval (list 'Utterance 'Text text))))
  (utt.save.wave spoken file 'riff)
  (mapcar (lambda (s) (format t "%s %s\\n" (item.name s) (item.feat s "segment_end"))) (utt.relation.items spoken 'Segment)))
"""
VOICES = {"ked": "voice_ked_diphone", "slt_hts": "voice_cmu_us_slt_arctic_hts"}
MEAN_F0_HZ = 105.0


class Festival:
    """Some 30 times faster than real time."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="festival-")
        self._file = Path(self._folder.name) / "spoken.wav"
        self._process = subprocess.Popen(
            ["festival", "--pipe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
        self._voice = ""
        self._send(_PROGRAM)

    def _send(self, expression: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()

    def speak(self, text: str, voice: str, stretch: float = 1.0, f0_ratio: float = 1.0) -> Speech:
        """``voice`` is a key of `VOICES`; F0 and durations are set for diphone voices only.

        Raises ValueError for a text that Festival cannot speak or a voice that is not installed,
        RuntimeError if Festival has ended.
        """
        if voice != self._voice:
            self._send(f"({VOICES[voice]})")
            self._voice = voice
        plain = text.encode("ascii", "ignore").decode().replace("\\", " ").replace('"', " ")
        mean_hz = MEAN_F0_HZ * f0_ratio
        self._send(f'(descant_say "{plain}" {stretch} {mean_hz} {mean_hz / 7} "{self._file}")')
        self._send('(begin (format t "done\\n") (fflush nil))')  # of its own, so that it comes after an error too
        ends_s = self._read_phones()
        if not ends_s:
            raise ValueError(f"festival cannot speak {text!r}")
        with wave.open(str(self._file)) as file:
            rate_hz = file.getframerate()
            pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return Speech(pcm, rate_hz, tuple((phone, round(end_s * rate_hz)) for phone, end_s in ends_s))

    def _read_phones(self) -> list[tuple[str, float]]:
        assert self._process.stdout is not None
        phones = []
        while (line := self._process.stdout.readline().strip()) != "done":
            if not line and self._process.poll() is not None:
                raise RuntimeError("festival has ended")
            parts = line.split()
            if len(parts) == 2:
                phones.append((parts[0], float(parts[1])))
        return phones

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()
