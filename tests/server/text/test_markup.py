"""Markup: breaks, spelling, speed, volume, emotion, inline phonemes, and what only looks like it."""

import math
from itertools import combinations

import pytest

from models.speech import Delivery, Phone
from server.requests.speech import Controls
from server.text.delivery import EMOTIONS
from server.text.frontend import Take, TextFrontEnd, TextSegment
from server.text.markup import DEFAULT_BREAK_MS

CARTESIA_EMOTIONS = """
neutral happy excited enthusiastic elated euphoric triumphant amazed surprised flirtatious curious content peaceful serene calm
grateful affectionate trust sympathetic anticipation mysterious angry mad outraged frustrated agitated threatened disgusted
contempt envious sarcastic ironic sad dejected melancholic disappointed hurt guilty bored tired rejected nostalgic wistful
apologetic hesitant insecure confused resigned anxious panicked alarmed scared proud confident distant skeptical contemplative
determined joking comedic
""".split()


def speak(front_end: TextFrontEnd, text: str, controls: Controls | None = None) -> list[TextSegment]:
    stream = front_end.open(controls or Controls())
    stream.push(text)
    return stream.take(Take.END)


def phones(front_end: TextFrontEnd, text: str, controls: Controls | None = None) -> list[Phone]:
    return [phone for segment in speak(front_end, text, controls) for phone in segment.utterance.phones]


def words(front_end: TextFrontEnd, text: str) -> list[str]:
    return [word.text for segment in speak(front_end, text) for word in segment.spoken]


def written(front_end: TextFrontEnd, text: str) -> list[str]:
    return [word.text for segment in speak(front_end, text) for word in segment.written]


@pytest.mark.parametrize(
    ("tag", "duration_ms"),
    [
        ('<break time="1s"/>', 1000),
        ("<break time='200ms' />", 200),
        ('<break time="1.5s">', 1500),
        ('<break time=".25s"/>', 250),
        ("<break time=2s/>", 2000),
        ('<BREAK TIME="1S"/>', 1000),
        ('<break time="3"/>', 3000),
        ('<break time="soon"/>', DEFAULT_BREAK_MS),
        ("<break/>", DEFAULT_BREAK_MS),
        ("<pause>", DEFAULT_BREAK_MS),
        ('<break time="999999s"/>', 60_000),
    ],
)
def test_break_is_a_pause_of_exact_length(front_end: TextFrontEnd, tag: str, duration_ms: float) -> None:
    fixed = [phone for phone in phones(front_end, f"one {tag} two") if phone.duration_ms is not None]
    assert [(phone.symbol, phone.duration_ms) for phone in fixed[1:]] == [("_", duration_ms)]
    assert words(front_end, f"one {tag} two") == ["one", "two"]
    assert written(front_end, f"one{tag}two") == ["one", "two"]


def test_break_alone_is_a_segment(front_end: TextFrontEnd) -> None:
    (segment,) = speak(front_end, '<break time="1s"/>')
    assert [phone.duration_ms for phone in segment.utterance.phones] == [20.0, 1000.0]
    assert segment.spoken == ()
    assert segment.written == ()


def test_break_of_no_length_is_nothing(front_end: TextFrontEnd) -> None:
    assert speak(front_end, '<break time="0s"/>') == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<spell>ABC</spell>", "A B C"),
        ("<spell>AB-12</spell> end", "A B one two end"),
        ("<spell>a@b.co</spell>", "A at B dot C O"),
        ("<spell>Q", "Q"),
        ("is <spell>007</spell>.", "is zero zero seven"),
        ("<spell>é5</spell>", "E five"),
    ],
)
def test_spell(front_end: TextFrontEnd, text: str, expected: str) -> None:
    assert " ".join(words(front_end, text)) == expected


def test_spelling_goes_on_across_pushes(front_end: TextFrontEnd) -> None:
    stream = front_end.open(Controls())
    spoken = []
    for part in ("Say <spell>A", "B</sp", "ell> now"):
        stream.push(part)
        spoken += stream.take(Take.READY)
    spoken += stream.take(Take.END)
    assert [word.text for segment in spoken for word in segment.spoken] == ["Say", "A", "B", "now"]


@pytest.mark.parametrize(
    ("text", "pauses"),
    [
        ('One.<break time="1s"/>Two.', [(".", 1000.0), (".", None)]),
        ('One? <break time="70ms"/> Two.', [("?", 70.0), (".", None)]),
        ('One, <break time="1s"/> two.', [(",", 1000.0), (".", None)]),
        ('One <break time="1s"/>, two.', [(",", 1000.0), (".", None)]),
        ('One <break time="1s"/>. Two.', [(".", 1000.0), (".", None)]),
        ('One <break time="1s"/> <break time="2s"/>, two.', [("_", 1000.0), (",", 2000.0), (".", None)]),
        ('One! <break time="1s"/> <break time="2s"/> Two.', [("!", 1000.0), ("_", 2000.0), (".", None)]),
        ('One.<break time="300ms"/>', [(".", 300.0)]),
        ('<break time="300ms"/>, one', [("_", 300.0), (".", None)]),
    ],
)
def test_a_break_is_the_whole_pause(front_end: TextFrontEnd, text: str, pauses: list[tuple[str, float | None]]) -> None:
    """Punctuation beside it keeps its tune and adds no time."""
    heard = [phone for segment in speak(front_end, text) for phone in segment.utterance.phones]
    assert [(phone.symbol, phone.duration_ms) for phone in heard[1:] if phone.word < 0] == pauses


@pytest.mark.parametrize(
    ("text", "speed", "volume"),
    [
        ('<speed ratio="1.5"/>word', 1.5, 1.0),
        ("<speed ratio='9'/>word", 1.5, 1.0),
        ('<speed ratio="0.1">word', 0.6, 1.0),
        ('<volume ratio="0.5"/>word', 1.0, 0.5),
        ('<volume level="1.7"/>word', 1.0, 1.7),
        ('<volume ratio="50"/>word', 1.0, 2.0),
        ('<speed ratio="fast"/>word', 1.0, 1.0),
        ('<speed ratio="nan"/>word', 1.0, 1.0),
        ('<speed ratio="inf"/>word', 1.0, 1.0),
    ],
)
def test_speed_and_volume(front_end: TextFrontEnd, text: str, speed: float, volume: float) -> None:
    last = phones(front_end, text)[-2]
    assert (last.speed, last.volume) == (speed, volume)


def test_tags_hold_until_changed_and_override_controls(front_end: TextFrontEnd) -> None:
    stream = front_end.open(Controls(speed=0.8, volume=1.2, pitch_semitones=2.0))
    stream.push('One. <speed ratio="1.25"/>Two. ')
    stream.push('Three. <volume ratio="0.6"/>Four.')
    heard = [segment.utterance.phones[-1] for segment in stream.take(Take.END)]
    assert [(phone.speed, phone.volume, phone.pitch_semitones) for phone in heard] == [
        (0.8, 1.2, 2.0),
        (1.25, 1.2, 2.0),
        (1.25, 1.2, 2.0),
        (1.25, 0.6, 2.0),
    ]


def test_controls_change_between_pushes(front_end: TextFrontEnd) -> None:
    stream = front_end.open(Controls())
    stream.push("one two ")
    stream.push("three.", Controls(speed=1.5))
    (segment,) = stream.take(Take.END)
    speeds = {word.text: [phone.speed for phone in segment.utterance.phones if phone.word == index] for index, word in
              enumerate(segment.spoken)}  # fmt: skip
    assert set(speeds["two"]) == {1.0}
    assert set(speeds["three"]) == {1.5}


@pytest.mark.parametrize("name", CARTESIA_EMOTIONS)
def test_every_emotion_has_a_delivery(name: str) -> None:
    delivery = EMOTIONS[name]
    assert 0.7 <= delivery.speed <= 1.3
    assert 0.7 <= delivery.volume <= 1.4
    assert -3 <= delivery.pitch_semitones <= 3
    assert 0.5 <= delivery.pitch_range <= 1.6
    assert name == "neutral" or _steps_apart(delivery, EMOTIONS["neutral"]) >= 1


def _steps_apart(one: Delivery, other: Delivery) -> float:
    """The largest difference, in steps that are heard: 3 % of speed, 0.5 dB, 0.3 semitones, 10 % of pitch movement."""
    return max(
        abs(math.log(one.speed / other.speed)) / math.log(1.03),
        abs(20 * math.log10(one.volume / other.volume)) / 0.5,
        abs(one.pitch_semitones - other.pitch_semitones) / 0.3,
        abs(math.log(one.pitch_range / other.pitch_range)) / math.log(1.1),
    )


def test_no_two_emotions_sound_alike() -> None:
    names = [name for name in EMOTIONS if name not in ("comedic", "joking/comedic")]
    alike = [pair for pair in combinations(names, 2) if _steps_apart(EMOTIONS[pair[0]], EMOTIONS[pair[1]]) < 1]
    assert not alike
    assert EMOTIONS["comedic"] == EMOTIONS["joking"] == EMOTIONS["joking/comedic"]


def test_pitch_movement_is_scaled_by_the_control_and_the_emotion(front_end: TextFrontEnd) -> None:
    last = phones(front_end, "word", Controls(emotion="excited", pitch_range=0.5))[-1]
    assert last.pitch_range == 0.5 * EMOTIONS["excited"].pitch_range


def test_emotion_by_tag_and_by_controls_in_any_case(front_end: TextFrontEnd) -> None:
    excited = EMOTIONS["excited"]
    by_tag = phones(front_end, '<emotion value="EXCITED"/>word')[-1]
    by_controls = phones(front_end, "word", Controls(emotion="Excited"))[-1]
    assert (by_tag.speed, by_tag.pitch_range) == (by_controls.speed, by_controls.pitch_range)
    assert (by_tag.speed, by_tag.pitch_range) == (excited.speed, excited.pitch_range)


def test_unknown_emotions_change_nothing(front_end: TextFrontEnd) -> None:
    plain = phones(front_end, "word")
    assert phones(front_end, '<emotion value="zesty"/>word') == plain
    assert phones(front_end, "word", Controls(emotion="zesty")) == plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<<k|ɑ|ɹ|t|i|ʒ|ə>>", "k ɑ1 ɹ t i ʒ ə"),
        ("<<kʰ|ɑ|ɹ|tʲ|i|ʒ|ɐ>>", "k ɑ1 ɹ t i ʒ ə"),
        ("<<k|ɑ|ɹ|ˈt|i|ʒ|ə|>>", "k ɑ ɹ t i1 ʒ ə"),
        ("<<h|ə|ˈl|oʊ>>", "h ə l oʊ1"),
        ("<<h|ə|ˈlow>>", "h ə l oʊ1"),
        ("<<aj>>", "aɪ1"),
        ("<<aw>>", "aʊ1"),
        ("<<ej>>", "eɪ1"),
        ("<<ow>>", "oʊ1"),
        ("<<b|ɔj>>", "b ɔɪ1"),
        ("<<n|ɝ|s>>", "n ɚ1 s"),
        ("<<n|ɜː|s>>", "n ɚ1 s"),
        ("<<d̪|ɪ|s>>", "d ɪ1 s"),
        ("<<tʃ|iː|z>>", "tʃ i1 z"),
        ("<<ˈbæˌtmæn>>", "b æ1 t m æ2 n"),
        ("<<ç|y|ʁ>>", "h u1 ɹ"),
        ("<<HH|AH0|L|OW1>>", "h ə l oʊ1"),
        ("<<k|☃|æ|t>>", "k æ1 t"),
    ],
)
def test_inline_phonemes(front_end: TextFrontEnd, text: str, expected: str) -> None:
    (segment,) = speak(front_end, text)
    said = [phone for phone in segment.utterance.phones if phone.word == 0]
    assert " ".join(f"{phone.symbol}{phone.stress or ''}" for phone in said) == expected
    assert said[0].starts_word
    assert segment.written[0].text == text


def test_unknown_phones_are_reported_not_fatal(front_end: TextFrontEnd) -> None:
    (segment,) = speak(front_end, "Say <<k|☃|æ|t|5>> now")
    assert segment.unknown_phones == ("☃", "5")
    assert speak(front_end, "<<☃>>") == []


@pytest.mark.parametrize("token", ["[laughter]", "[Laughter]", "[sigh]"])
def test_non_verbal_tokens_become_a_short_pause(front_end: TextFrontEnd, token: str) -> None:
    assert words(front_end, f"Ha {token} yes") == ["Ha", "yes"]
    assert [phone.duration_ms for phone in phones(front_end, f"Ha {token} yes") if phone.duration_ms] == [20.0, 250.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<prosody rate='slow'>slow</prosody>", "slow"),
        ("<speak>hi</speak>", "hi"),
        ("a<mark name='x'/>b", "a b"),
        ("5 < 6 and 7 > 2", "five less than six and seven greater than two"),
        ("a <b and c> d", "a b and c greater than d"),
        ("x << y", "x y"),
        ("is [this] it", "is this it"),
        ('trailing <break time="1', "trailing"),
        ("trailing <spe", "trailing spe"),
    ],
)
def test_other_tags_and_signs(front_end: TextFrontEnd, text: str, expected: str) -> None:
    assert " ".join(words(front_end, text)).lower() == expected


MARKED_UP = (
    'Hello, <break time="0.5s"/>Dr. Smith. <speed ratio="1.2"/>You owe $3.50 <emotion value="sad"/>by May 5, 2024! '
    "Spell <spell>AB-1</spell> as <<k|æ|t>>, [laughter] at 3:30 p.m. on Elm St. The end is 5 < 6..."
    " Is it? <volume level='2'/>Yes."
)


def test_markup_split_anywhere_gives_the_same(front_end: TextFrontEnd) -> None:
    whole = speak(front_end, MARKED_UP)
    assert len(whole) >= 5
    for cut in range(1, len(MARKED_UP)):
        stream = front_end.open(Controls())
        stream.push(MARKED_UP[:cut])
        parts = stream.take(Take.READY)
        stream.push(MARKED_UP[cut:])
        assert parts + stream.take(Take.END) == whole


def test_one_character_at_a_time_gives_the_same(front_end: TextFrontEnd) -> None:
    stream = front_end.open(Controls())
    parts = []
    for char in MARKED_UP:
        stream.push(char)
        parts += stream.take(Take.READY)
    assert parts + stream.take(Take.END) == speak(front_end, MARKED_UP)
