"""The package's networks and those of voices that users trained, behind one `models.speech.Synthesizer`."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

from models.conv_tts.model import WEIGHTS, ConvTtsSynthesizer
from models.conv_tts.model import load as load_network
from models.conv_tts.record import Timbre
from models.speech import DEFAULT_GENERATION, Generation, SpeechFrames, SynthesizerInfo, Utterance
from models.voices import Voice
from models.weights import WeightsError


class ConvTtsNetworks:
    """A stream belongs to the network of its voice; a step is one batch per network that has streams in it."""

    def __init__(self, networks: dict[str, ConvTtsSynthesizer]) -> None:
        """``networks`` by `Timbre.network`, the package's own first; all have room for as many slots."""
        self._networks = networks
        self._of_slot: dict[int, ConvTtsSynthesizer] = {}
        first = next(iter(networks.values()))
        voices = tuple(voice for network in networks.values() for voice in network.info.voices)
        languages = tuple(sorted({voice.language for voice in voices}))
        weight_bytes = sum(network.info.weight_bytes for network in networks.values())
        self._info = replace(first.info, languages=languages, voices=voices, weight_bytes=weight_bytes)

    @property
    def info(self) -> SynthesizerInfo:
        return self._info

    def admit(self, slot: int, voice: Voice, generation: Generation = DEFAULT_GENERATION) -> None:
        """See `models.speech.Synthesizer`. ValueError: slot out of range or in use, a voice of no network here."""
        if slot in self._of_slot:
            raise ValueError(f"slot {slot} is in use")
        network = self._networks.get(Timbre.of(voice.record).network)
        if network is None:
            raise ValueError(f"voice {voice.name!r} belongs to a network that is not installed")
        network.admit(slot, voice, generation)
        self._of_slot[slot] = network

    def feed(self, slot: int, utterance: Utterance) -> None:
        """See `models.speech.Synthesizer`. ValueError: a phone or a control that cannot be spoken."""
        self._of_slot[slot].feed(slot, utterance)

    def release(self, slot: int) -> None:
        """See `models.speech.Synthesizer`."""
        self._of_slot.pop(slot).release(slot)

    def step(self, slots: Sequence[int]) -> list[SpeechFrames]:
        """See `models.speech.Synthesizer`."""
        given: dict[int, SpeechFrames] = {}
        for network in self._networks.values():
            own = [slot for slot in slots if self._of_slot[slot] is network]
            if own:
                given |= zip(own, network.step(own), strict=True)
        return [given[slot] for slot in slots]


def load(
    device: str, max_slots: int, voice_files: Sequence[Path] = (), cuda_graphs: bool = True
) -> ConvTtsSynthesizer | ConvTtsNetworks:
    """The embedded voices, English and others, and one more for each file of a voice made from recordings.

    ``cuda_graphs``: see `models.conv_tts.model.load`.

    Raises:
        WeightsError: weights do not fit this code, a file holds no voice, or two hold the same.
    """
    package = load_network(device, max_slots, cuda_graphs=cuda_graphs)
    networks = {"": package}
    with as_file(files("models.conv_tts") / "weights") as folder:
        others = sorted(path for path in folder.glob("*.safetensors") if path.name != WEIGHTS)
    for path in (*others, *voice_files):
        trained = load_network(device, max_slots, path, cuda_graphs)
        ids = {voice.id for network in networks.values() for voice in network.info.voices}
        if path.stem in networks or not ids.isdisjoint(voice.id for voice in trained.info.voices):
            raise WeightsError(f"{path} holds the same voice as another file")
        networks[path.stem] = trained
    return ConvTtsNetworks(networks) if len(networks) > 1 else package
