"""Which part of speech a word has, where its sound depends on that (``a record``, ``to record``).

A tagger would cost more than the rest of the front end together. Neighbouring
function words decide the common cases; the lexicon's default does the others.
"""

from collections.abc import Sequence

_DETERMINERS = frozenset(
    "a an the this that these those my your his her our their its some any no each every another"
    " one's whose several many few most all both what which".split()
)
_PREPOSITIONS = frozenset("of for in with by from on at into about as per without under over".split())
_MODALS = frozenset(
    "to will would can could should shall may might must cannot can't won't wouldn't couldn't shouldn't"
    " don't doesn't didn't do does did let's lets please never i'll you'll we'll they'll he'll she'll it'll"
    " i'd you'd we'd they'd he'd she'd".split()
)
_PRONOUNS = frozenset("i you we they who people".split())
_THIRD_PERSONS = frozenset("he she it who".split())
_BE = frozenset("is are was were be been being am i'm you're we're they're he's she's it's isn't aren't".split())
_HAVE = frozenset("have has had having i've you've we've they've haven't hasn't hadn't he'd she'd".split())
_DEGREES = frozenset("very so too more most quite rather really always".split())
_PLACES = frozenset("in at on with here there by near together alone for under next among without".split())
_PAST_TIMES = frozenset("yesterday ago last already earlier".split())
_OBJECTS = frozenset("the a an my your his her our their its it this that these those them me us him all".split())
_PARTICLES = frozenset("up down out apart away around off".split())

_NOT_VERB_AFTER_TO = frozenset("mouth desert house content".split())
_MOSTLY_VERB = frozenset("affect affects close excuse use abuse wind tear bow".split())
_TAKES_PARTICLE = frozenset("wind tear bow wound".split())
_BEFORE_BASS_FISH = frozenset("sea largemouth striped smallmouth black".split())


def part_of_speech(words: Sequence[str], index: int) -> str:
    """DEFAULT, NOUN, VERB, ADJ or VBD for the word at ``index`` of a clause."""
    lowered = [word.lower() for word in words[max(0, index - 3) : index + 3]]
    at = min(index, 3)
    word = lowered[at]
    before = lowered[at - 1] if at else ""
    after = lowered[at + 1] if at + 1 < len(lowered) else ""
    special = _special(word, lowered, at)
    if special:
        return special
    if after in _PARTICLES and word in _TAKES_PARTICLE and before not in _DETERMINERS:
        return "VBD" if word == "wound" else "VERB"
    if before in _MODALS and not (before == "to" and word in _NOT_VERB_AFTER_TO):
        return "VERB"
    if before in _PRONOUNS or (before in _THIRD_PERSONS and word.endswith("s")):
        return "VERB"
    if before in _DETERMINERS or before in _PREPOSITIONS:
        return "ADJ" if _could_be_adjective(after) else "NOUN"
    if before in _BE or before in _DEGREES:
        return "ADJ"
    if word in _MOSTLY_VERB and after in _OBJECTS:
        return "VERB"
    return "DEFAULT"


def _could_be_adjective(after: str) -> bool:
    known = after in _PREPOSITIONS or after in _BE or after in _MODALS or after in _HAVE or after == "and"
    return bool(after) and not known


def _special(word: str, around: Sequence[str], at: int) -> str:
    """Words that the general rules get wrong; empty where those rules may decide."""
    before = around[at - 1] if at else ""
    after = around[at + 1] if at + 1 < len(around) else ""
    if word == "read":
        past = any(near in _HAVE or near in _BE for near in around[:at]) or before in _THIRD_PERSONS
        past = past or (before not in _MODALS and any(near in _PAST_TIMES for near in around[at + 1 :]))
        return "VBD" if past and before != "to" else "DEFAULT"
    if word == "used":
        beyond = around[at + 2] if at + 2 < len(around) else ""
        habit = before not in _BE or beyond in _OBJECTS or beyond.endswith("ing")
        return "VBD" if after == "to" and habit else "DEFAULT"
    if word in ("use", "uses", "abuse", "excuse"):
        return "NOUN" if before in _DETERMINERS or before in ("of", "for", "in") else "DEFAULT"
    if word in ("live", "lives") and after in _PLACES and before not in _DETERMINERS and before not in _BE:
        return "VERB"
    if word == "bass":
        return "DEFAULT" if before in _BEFORE_BASS_FISH or after.startswith("fish") else "ADJ"
    if word in ("content", "affect", "affects"):
        if word == "content":
            return "DEFAULT" if before in _BE or before in _DEGREES else "NOUN"
        return "DEFAULT" if before in ("flat", "blunted") else "VERB"
    if word in ("minute", "wound"):
        return "ADJ" if before in _DEGREES else ("VBD" if word == "wound" and before in _THIRD_PERSONS else "")
    return ""
