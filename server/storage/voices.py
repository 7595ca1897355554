"""Voice store: list, look up, mix. Voices are records of the models and those that users made.

A client written for Cartesia's cloud names voices of its library. The ids that
documents, samples and SDKs use by default are answered by a local voice of the
same gender, by the visible table `STAND_INS`; every other unknown id is refused.
"""

import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from models.voices import Voice, VoiceMaker
from server.errors import InvalidRequest, VoiceNotFound
from server.requests.locales import canonical_tag, primary_subtag
from server.storage.own_voices import OwnVoice, OwnVoices

log = logging.getLogger("descant.voices")

STAND_INS: Mapping[str, tuple[str, str]] = {
    "f786b574-daa5-4673-aa0c-cbe3e8534c02": ("Katie", "feminine"),
    "a5136bf9-224c-4d76-b823-52bd5efcffcc": ("Jameson", "masculine"),
    "a0e99841-438c-4a64-b679-ae501e7d6091": ("documentation sample", "masculine"),
    "694f9389-aac1-45b6-b726-9d9369183238": ("documentation and SDK sample", "feminine"),
    "bf0a246a-8642-498a-9950-80c35e9276b5": ("documentation sample", "feminine"),
    "6ccbfb76-1fc6-48f7-b71d-91ac6298247b": ("SDK fallback of no_more_inputs()", "feminine"),
    "e07c00bc-4134-4eae-9ea4-1a55fb45746b": ("SDK read-me", "feminine"),
}
"""Cartesia id to (what it is there, gender of the local voice that stands in)."""

_MIX_PART = re.compile(r"(?P<voice>[^+:]+?)\s*(?::\s*(?P<weight>[0-9]*\.?[0-9]+))?")
_MAX_MIX_PARTS = 8


class VoiceStore:
    """The voices of this server's models, in a stable order; the first is the default."""

    def __init__(
        self,
        models: Mapping[str, Sequence[Voice]],
        own: OwnVoices,
        makers: Mapping[str, VoiceMaker],
        stand_ins: Mapping[str, tuple[str, str]] = STAND_INS,
    ) -> None:
        """``models``: the voices of each, by its name, the default's first. ``makers`` by family, as
        `models.registry.load_voice_makers` gives them."""
        self.own = own
        self._models = models
        self._makers = makers
        self._stand_ins = stand_ins
        self._seen: dict[str, tuple[Sequence[OwnVoice], Sequence[OwnVoice], Voices]] = {}
        self.of("")  # refuses unusable stock voices at once

    def of(self, owner_id: str) -> "Voices":
        """What one owner sees: the stock voices, the server's own ones, and his or hers."""
        shared = self.own.list("")
        private = self.own.list(owner_id) if owner_id else ()
        seen = self._seen.get(owner_id)
        if seen is None or seen[0] is not shared or seen[1] is not private:
            voices = Voices(self._models, self._speakable((*private, *shared)), owner_id, self._makers, self._stand_ins)
            seen = (shared, private, voices)
            self._seen[owner_id] = seen
        return seen[2]

    def _speakable(self, own: Iterable[OwnVoice]) -> list[OwnVoice]:
        """Without those of families that are not installed, and those that a family's model of today cannot speak with; they
        stay in their files."""
        kept = []
        for made in own:
            maker = self._makers.get(made.voice.family)
            if maker is not None and maker.knows(made.voice):
                kept.append(made)
            elif maker is not None:
                log.warning("voice %s (%s) was made for another model and is left out", made.voice.id, made.voice.name)
        return kept


class Voices:
    """The voices that one owner sees, of all models or of one. A stock voice's name wins over an own voice's, a newer one's
    over an older one's; a voice that several models have is that of the first."""

    def __init__(
        self,
        models: Mapping[str, Sequence[Voice]],
        own: Sequence[OwnVoice],
        owner_id: str,
        makers: Mapping[str, VoiceMaker],
        stand_ins: Mapping[str, tuple[str, str]],
        elsewhere: "Voices | None" = None,
    ) -> None:
        """``elsewhere``: where to look for what these do not have, to say whose voice it is."""
        for stock in models.values():
            if any(len({key(voice).lower() for voice in stock}) != len(stock) for key in (_id_of, _name_of)):
                raise ValueError("voice ids and names must be unique")
        self._models = models
        self._own = {made.voice.id: made for made in own}
        self.owner_id = owner_id
        self.makers = makers
        self._foreign = stand_ins
        self._elsewhere = elsewhere
        self._of_model: dict[str, Voices] = {}
        self._model_of = {voice.id: name for name, stock in reversed(list(models.items())) for voice in stock}
        self._voices = tuple(voice for name, voices in models.items() for voice in voices if self._model_of[voice.id] == name)
        self._voices += tuple(made.voice for made in own)
        if not self._voices:
            raise ValueError("a voice store needs at least one voice")
        self._by_id = {voice.id.lower(): voice for voice in self._voices}
        self._by_name = {voice.name.lower(): voice for voice in reversed(self._voices)}
        self._stand_ins = {foreign: gender for foreign, (_, gender) in stand_ins.items() if foreign not in self._by_id}

    def of_model(self, name: str) -> "Voices":
        """Those that a model speaks with: its own, and those that users made for its family."""
        if len(self._models) == 1:
            return self
        if name not in self._of_model:
            families = {voice.family for voice in self._models[name]}
            own = [made for made in self._own.values() if made.voice.family in families]
            makers = {family: maker for family, maker in self.makers.items() if family in families}
            models = {name: self._models[name]}
            self._of_model[name] = Voices(models, own, self.owner_id, makers, self._foreign, elsewhere=self)
        return self._of_model[name]

    def model_of(self, voice: Voice) -> str:
        """The name of the first model that speaks with it."""
        stock = self._model_of.get(voice.id)
        return stock or next(
            name for name, voices in self._models.items() if any(other.family == voice.family for other in voices)
        )

    def list(self) -> list[Voice]:
        return list(self._voices)

    def first(self, tag: str | None = None) -> Voice:
        """The default voice, or the first one of a locale such as ``en-GB``, else of its language."""
        ranked = [voice for voice in self._voices if tag and canonical_tag(voice.locale) == canonical_tag(tag)]
        ranked += (voice for voice in self._voices if tag and voice.language == primary_subtag(tag))
        return (*ranked, *self._voices)[0]

    def made(self, voice_id: str) -> OwnVoice | None:
        """What is known of a voice that a user made; None for any other voice."""
        return self._own.get(voice_id)

    def languages(self) -> tuple[str, ...]:
        """Every language some voice speaks, sorted."""
        return tuple(sorted({voice.language for voice in self._voices}))

    def made_locales(self) -> Mapping[str, str]:
        """Languages of the voices that are made from recordings, by the first family that makes any, each with its usual
        locale."""
        return next((maker.locales for maker in self.makers.values() if maker.locales), {})

    def get(self, voice_id: str, language: str | None = None) -> Voice:
        """The voice with this id, a stand-in for a well-known foreign id that speaks the language, or a mixture.

        A mixture is written ``first:0.7+second:0.3`` with ids or names; weights are
        relative and 1 where absent. Raises VoiceNotFound with the accepted ids, InvalidRequest for a voice of another model.
        """
        wanted = voice_id.strip().lower()
        found = self._by_id.get(wanted)
        if found is not None:
            return found
        if wanted in self._stand_ins:
            return self._of_gender(self._stand_ins[wanted], language or self._voices[0].language)
        if "+" in wanted:
            return self._mixture(wanted)
        listed = ", ".join(f"{voice.id} ({voice.name})" for voice in self._voices)
        if self._elsewhere is not None:
            self._elsewhere.refuse_here(wanted, ", ".join(self._models), listed)
        raise VoiceNotFound(f"voice: no voice has the id {voice_id!r}; accepted values: {listed}", field="voice")

    def refuse_here(self, wanted: str, model: str, listed: str) -> None:
        """Raises InvalidRequest where this is a voice, but not one of ``model``, which has those that are listed."""
        found = self._by_id.get(wanted) or self._by_name.get(wanted)
        if found is not None:
            owner = self.model_of(found)
            raise InvalidRequest(
                f"voice: {found.name!r} is a voice of the model {owner!r}, not of {model!r}; ask for model {owner!r}, or for "
                f"one of the voices of {model!r}: {listed}",
                field="voice",
            )

    def find(self, text: str, language: str | None = None) -> Voice:
        """Like `get`, and takes a voice's name in any case too."""
        return self._by_name.get(text.strip().lower()) or self.get(text, language)

    def mix(self, parts: Sequence[tuple[Voice, float]]) -> Voice:
        """One voice between several. Weights are relative, at least 0, with a positive sum.

        Raises InvalidRequest for unusable weights, for voices of different models or languages, and for those that their
        model does not mix.
        """
        total = math.fsum(weight for _, weight in parts)
        if not parts or not math.isfinite(total) or total <= 0 or min(weight for _, weight in parts) < 0:
            raise InvalidRequest("voice: the weights of a mixture must be at least 0 and not all 0", field="voice")
        voices = [voice for voice, _ in parts]
        if len({voice.language for voice in voices}) > 1:
            raise InvalidRequest("voice: the voices of a mixture must speak the same language", field="voice")
        for what, told in (("model", {v.family for v in voices}), ("pronunciation", {v.pronunciation for v in voices})):
            if len(told) > 1:
                raise InvalidRequest(f"voice: a voice of one {what} does not mix with a voice of another", field="voice")
        first = voices[0]
        genders = {voice.gender for voice in voices}
        shares = [(voice, weight / total) for voice, weight in parts]
        try:
            record = self.makers[first.family].mix(shares)
        except ValueError as error:
            raise InvalidRequest(f"voice: {error}", field="voice") from None
        return Voice(
            id="+".join(f"{voice.id}:{share:.4g}" for voice, share in shares),
            name=" + ".join(f"{voice.name} {share:.0%}" for voice, share in shares),
            description="A mixture of " + " and ".join(voice.name for voice in voices) + ".",
            language=first.language,
            locale=first.locale,
            gender=first.gender if len(genders) == 1 else "gender_neutral",
            family=first.family,
            record=record,
            pronunciation=first.pronunciation,
        )

    def _mixture(self, text: str) -> Voice:
        pieces = text.split("+")
        if len(pieces) > _MAX_MIX_PARTS:
            raise InvalidRequest(f"voice: a mixture takes at most {_MAX_MIX_PARTS} voices", field="voice")
        parts = []
        for piece in pieces:
            match = _MIX_PART.fullmatch(piece.strip())
            if match is None:
                raise InvalidRequest(f"voice: {piece!r} is not 'voice' or 'voice:weight'", field="voice")
            parts.append((self.find(match["voice"]), float(match["weight"] or 1.0)))
        return self.mix(parts)

    def _of_gender(self, gender: str, language: str) -> Voice:
        """The first voice of both, else of the language, else the first."""
        able = [voice for voice in self._voices if voice.language == language] or self._voices
        return next((voice for voice in able if voice.gender == gender), able[0])


def _id_of(voice: Voice) -> str:
    return voice.id


def _name_of(voice: Voice) -> str:
    return voice.name
