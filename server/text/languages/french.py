"""French, with its liaison and elision."""

from collections.abc import Sequence

from models.phones import VOWELS
from server.text.languages.language import Abbreviations, Currency, Language, Noun, nouns
from server.text.pronunciation import PhoneWithStress, Pronunciation

MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre",
)  # fmt: skip

LIAISON = {
    **dict.fromkeys(
        "les des ces mes tes ses nos vos leurs nous vous ils elles deux trois aux très plus sans chez"
        " dans sous quelques plusieurs certains autres petits grands beaux bons mauvais vieux ont avons avez"
        " sont étions quatre-vingts".split(),
        "z",
    ),
    **dict.fromkeys("un mon ton son on en aucun bien rien".split(), "n"),
    **dict.fromkeys("est petit grand second quand tout c'est était étaient sont ont vont font doit peut fait".split(), "t"),
}
"""Words with the consonant that sounds before a vowel."""

ASPIRATED = frozenset(
    "haut haute hauts hautes hauteur héros hasard haine hall hamster handicap handicapé hanche haricot"
    " haricots hausse havre hâte hibou hiérarchie hockey homard honte honteux hors hollande hollandais"
    " huit huitième hurler hutte onze onzième oui yaourt yacht hameau hangar harceler hardi harnais harpe"
    " heurt heurter hausser hisser housse hublot hanter".split()
)
"""Words that begin with a vowel and take no liaison."""


_FINAL_S = ("six", "dix")
"""Numbers that end in s where nothing follows."""


def _join(words: Sequence[str], phones: list[Pronunciation]) -> list[Pronunciation]:
    joined = []
    for index, (word, spoken) in enumerate(zip(words, phones, strict=True)):
        following = phones[index + 1] if index + 1 < len(words) else ()
        consonant = "s" if word.endswith(_FINAL_S) and not following else ""
        if following and following[0].symbol in VOWELS and words[index + 1] not in ASPIRATED:
            consonant = LIAISON.get(word, "z" if word.endswith(_FINAL_S) else "")
        joined.append((*spoken, PhoneWithStress(consonant)) if consonant and spoken else spoken)
    return joined


def _count(words: str, gender: str) -> str:
    return words + "e" if gender == "f" and (words == "un" or words.endswith((" un", "-un"))) else words


def _ordinal(number: int, ending: str) -> str:
    if number == 1:
        return "première" if ending.startswith(("r", "ère")) else "premier"
    return {"nd": "second", "nde": "seconde"}.get(ending, FRENCH.ordinal_words(number))


def _clock(hour: int, minute: int) -> str:
    spoken = FRENCH.count(FRENCH.cardinal(str(hour)), "f") + (" heure" if hour in (0, 1) else " heures")
    return f"{spoken} {FRENCH.count(FRENCH.cardinal(str(minute)), 'f')}" if minute else spoken


_EURO, _CENT = Noun("euro", "euros"), Noun("centime", "centimes")
_DOLLAR = Noun("dollar", "dollars")
_POUND, _PENNY = Noun("livre", "livres", "f"), Noun("penny", "pence")

FRENCH: Language = Language(
    code="fr",
    decimal=",",
    point="virgule",
    minus="moins",
    plus="plus",
    to="à",
    over="sur",
    per="par",
    fractions={
        (1, 2): "un demi",
        (1, 3): "un tiers",
        (2, 3): "deux tiers",
        (1, 4): "un quart",
        (3, 4): "trois quarts",
        (1, 5): "un cinquième",
        (1, 8): "un huitième",
        (1, 10): "un dixième",
    },
    months=MONTHS,
    month_short={
        "janv": 1,
        "jan": 1,
        "févr": 2,
        "fév": 2,
        "avr": 4,
        "juil": 7,
        "sept": 9,
        "sep": 9,
        "oct": 10,
        "nov": 11,
        "déc": 12,
    },
    date=lambda day, month, year: f"{'premier' if day == 1 else FRENCH.cardinal(str(day))} {month} {year}".strip(),
    clock=_clock,
    clock_words=r"(?:h|heures?)(?!\w)",
    hour_alone=True,
    ordinal_sign=r"(?:ers?|res?|ères?|nde?|es?|èmes?|ᵉ)\b",
    ordinal=_ordinal,
    roman=lambda number, before: FRENCH.cardinal(str(number)),
    feminine=r"(?:tion|sion|té|ette|ure|ance|ence|ie|ine|elle|aine|ade|euse|ère|tonne|minute|seconde|heure|page|fille|femme)s?\b",
    count=_count,
    money_join="",
    money_part=False,
    scales={name: name for name in ("mille", "million", "millions", "milliard", "milliards")}
    | {"M": "millions", "Md": "milliards"},
    scale_of=lambda name: f"d'{name}" if name[0] in "aeiou" else f"de {name}",
    currencies={
        "€": Currency(_EURO, _CENT),
        "EUR": Currency(_EURO, _CENT),
        "$": Currency(_DOLLAR, Noun("cent", "cents")),
        "US$": Currency(_DOLLAR, Noun("cent", "cents")),
        "USD": Currency(_DOLLAR, Noun("cent", "cents")),
        "£": Currency(_POUND, _PENNY),
        "GBP": Currency(_POUND, _PENNY),
        "CHF": Currency(Noun("franc", "francs"), _CENT),
        "F": Currency(Noun("franc", "francs"), _CENT),
        "¥": Currency(Noun("yen", "yens")),
    },
    units=nouns("""
        % | pour cent
        ‰ | pour mille
        °C | degré Celsius | degrés Celsius
        °F | degré Fahrenheit | degrés Fahrenheit
        ° | degré | degrés
        km | kilomètre | kilomètres
        m | mètre | mètres
        cm | centimètre | centimètres
        mm | millimètre | millimètres
        m² | mètre carré | mètres carrés
        m³ | mètre cube | mètres cubes
        km² | kilomètre carré | kilomètres carrés
        km/h | kilomètre à l'heure | kilomètres à l'heure
        kg | kilo | kilos
        g | gramme | grammes
        mg | milligramme | milligrammes
        t | tonne | tonnes | f
        l | litre | litres
        L | litre | litres
        ml | millilitre | millilitres
        cl | centilitre | centilitres
        min | minute | minutes | f
        s | seconde | secondes | f
        ms | milliseconde | millisecondes | f
        W | watt | watts
        kW | kilowatt | kilowatts
        kWh | kilowattheure | kilowattheures
        V | volt | volts
        Hz | hertz
        kHz | kilohertz
        MHz | mégahertz
        GHz | gigahertz
        Ko | kilooctet | kilooctets
        Mo | mégaoctet | mégaoctets
        Go | gigaoctet | gigaoctets
        To | téraoctet | téraoctets
        GB | gigaoctet | gigaoctets
        MB | mégaoctet | mégaoctets
        dB | décibel | décibels
        ha | hectare | hectares
        kcal | kilocalorie | kilocalories | f
    """),
    unit_per={
        "h": "heure",
        "s": "seconde",
        "min": "minute",
        "mois": "mois",
        "jour": "jour",
        "an": "an",
        "kg": "kilo",
        "nuit": "nuit",
    },
    symbols={
        "&": "et",
        "=": "égale",
        "%": "pour cent",
        "@": "arobase",
        "+": "plus",
        "§": "paragraphe",
        "€": "euros",
        "$": "dollars",
        "£": "livres",
        "°": "degrés",
        "±": "plus ou moins",
        "×": "fois",
        "÷": "divisé par",
        "≈": "environ",
        "²": "au carré",
        "³": "au cube",
        "µ": "micro",
        "Ω": "ohms",
        "‰": "pour mille",
        "√": "racine de",
        "∞": "infini",
        "≤": "inférieur ou égal à",
        "≥": "supérieur ou égal à",
    },
    between_numbers={
        "+": "plus",
        "*": "fois",
        "x": "fois",
        "×": "fois",
        "÷": "divisé par",
        "=": "égale",
        "<": "inférieur à",
        ">": "supérieur à",
        ":": "à",
    },
    web={
        ".": "point",
        "/": "slash",
        "-": "tiret",
        "_": "tiret bas",
        "@": "arobase",
        "+": "plus",
        "?": "point d'interrogation",
        "=": "égale",
        "&": "et",
        "#": "dièse",
        ":": "deux points",
        "%": "pour cent",
        "~": "tilde",
        "hashtag": "hashtag",
    },
    spelled_signs={
        "*": "étoile",
        "\\": "barre oblique inverse",
        "'": "apostrophe",
        "!": "point d'exclamation",
        "<": "inférieur à",
        ">": "supérieur à",
        "€": "euro",
        "$": "dollar",
    },
    abbreviations=Abbreviations(
        never_end={
            "M": "monsieur",
            "MM": "messieurs",
            "Dr": "docteur",
            "Pr": "professeur",
            "Me": "maître",
            "St": "saint",
            "Ste": "sainte",
            "p.ex": "par exemple",
            "p. ex": "par exemple",
            "ex": "exemple",
            "c.-à-d": "c'est-à-dire",
            "env": "environ",
            "av": "avenue",
            "bd": "boulevard",
            "boul": "boulevard",
            "cf": "confer",
            "Mgr": "monseigneur",
        },
        may_end={
            "etc": "et cetera",
            "J.-C": "Jésus-Christ",
            "tél": "téléphone",
            "Tél": "téléphone",
            "hab": "habitants",
            "éd": "édition",
            "Cie": "compagnie",
            "apr": "après",
            "max": "maximum",
            "min": "minimum",
        },
        before_number={
            "n": "numéro",
            "N": "numéro",
            "no": "numéro",
            "p": "page",
            "pp": "pages",
            "art": "article",
            "chap": "chapitre",
            "vol": "volume",
            "fig": "figure",
            "tél": "téléphone",
            "t": "tome",
        },
    ),
    starters=frozenset(
        "Le La Les Un Une Des Du Je Tu Il Elle On Nous Vous Ils Elles Et Ou Mais Donc Or Car Puis Alors"
        " Ensuite Après Avant Aujourd Demain Hier Maintenant Ici Là Dans En De Avec Sans Sous Sur Pour Par"
        " Chez À Au Aux Si Quand Comme Lorsque Que Qui Quoi Où Comment Pourquoi Combien Quel Quelle Ce Cet"
        " Cette Ces Mon Ma Mes Ton Ta Son Sa Ses Notre Votre Leur Tout Tous Toute Toutes Ne Non Oui Est Sont C"
        " Il Voici Voilà Merci Bonjour Bien Très Plus Cela Ça Y".split()
    ),
    conjunctions="et|ou|mais|car|donc|que|qui|quand|si|comme|pour|avec|dans|parce|où|sans",
    acronyms_read=frozenset("ONU OTAN NASA OVNI UNESCO UNICEF SIDA SMIC INSEE CROUS".split()),
    elisions=frozenset("c d j l m n s t qu jusqu lorsqu puisqu quoiqu presqu".split()),
    join=_join,
    phone_pairs=True,
    nearest_phones={"r": "ʁ", "ɾ": "ʁ", "ɹ": "ʁ", "ʀ": "ʁ", "ɥ": "y", "ɑ": "a"},
)
