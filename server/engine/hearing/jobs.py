"""What a transcription keeps of each stream, and what of it is to be decoded next."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from models.hearing import Effort, Hypothesis
from server.engine.hearing.session import HearingSession
from server.engine.hearing.transcript_text import TranscriptText
from server.engine.hearing.windows import Window, WindowCutter


@dataclass(slots=True, eq=False)
class Hearing:
    session: HearingSession
    cutter: WindowCutter
    text: TranscriptText
    language: str | None
    """Of all windows to come; None while what is spoken is not known yet."""
    last: tuple[Window, Hypothesis] | None = None
    """The newest decoding of the open window that is good enough to be the final one, if no more speech came."""
    results: dict[int, Hypothesis] = field(default_factory=dict)
    """By start of the window: final windows that are decoded and wait for their place in line."""
    decoding: set[int] = field(default_factory=set)
    """Starts of the final windows that the model has."""
    drafting: bool = False
    """The model has the open window, for a text that will be replaced."""
    ahead: Window | None = None
    """The model has the open window, for a text that will be the final one if no more speech comes."""


@dataclass(frozen=True, slots=True)
class Job:
    hearing: Hearing
    window: Window
    effort: Effort


def choose_jobs(
    finals: Sequence[Sequence[Job]], partials: Sequence[Job], max_batch: int, budget_s: float, rate_hz: int
) -> list[Job]:
    """What to decode now: each stream's first final window before anybody's second, oldest first, then partials.

    ``budget_s`` bounds the audio of the batch; one window always fits.
    """
    ranked = sorted(
        ((place, job.window.due_s, index) for index, jobs in enumerate(finals) for place, job in enumerate(jobs)),
    )
    ordered = [finals[index][place] for place, _, index in ranked]
    ordered += sorted(partials, key=lambda job: job.window.due_s)
    chosen: list[Job] = []
    audio_s = 0.0
    for job in ordered[:max_batch]:
        audio_s += len(job.window.pcm) / rate_hz
        if chosen and audio_s > budget_s:
            break
        chosen.append(job)
    return chosen


def same_audio(a: Window, b: Window) -> bool:
    return a.start_samples == b.start_samples and len(a.pcm) == len(b.pcm)
