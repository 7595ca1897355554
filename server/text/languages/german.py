"""German."""

from server.text.languages.language import Abbreviations, Currency, Language, Noun, nouns

MONTHS = (
    "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember",
)  # fmt: skip


def _count(words: str, gender: str) -> str:
    if words == "eins" or words.endswith(("hunderteins", "tausendeins")):
        return words[:-1] + ("e" if gender == "f" else "")
    return words


def _ordinal(number: int, ending: str) -> str:
    """``ending`` is the word before: after an article that is not nominative the ending is -n."""
    words = GERMAN.ordinal_words(number)
    return (
        words + "n" if ending in ("am", "dem", "den", "im", "vom", "zum", "beim", "zur", "des", "ab", "bis", "seit") else words
    )


def _roman(number: int, before: str) -> str:
    numbered = before in ("Kapitel", "Band", "Teil", "Artikel", "Klasse", "Stufe", "Akt", "Phase")
    return GERMAN.cardinal(str(number)) if numbered else f"der {GERMAN.ordinal_words(number)}"


def _year(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    if value // 1000 == 2 or hundreds == 10:
        return GERMAN.cardinal(str(value))
    head = f"{GERMAN.cardinal(str(hundreds))}hundert"
    return head + (GERMAN.cardinal(str(rest)) if rest else "")


def _clock(hour: int, minute: int) -> str:
    spoken = "ein" if hour == 1 else GERMAN.cardinal(str(hour))
    return f"{spoken} Uhr" + (f" {GERMAN.cardinal(str(minute))}" if minute else "")


_EURO, _CENT = Noun("Euro", "Euro"), Noun("Cent", "Cent")
_POUND, _PENNY = Noun("Pfund", "Pfund"), Noun("Penny", "Pence")

GERMAN: Language = Language(
    code="de",
    decimal=",",
    point="Komma",
    minus="minus",
    plus="plus",
    to="bis",
    over="durch",
    per="pro",
    fractions={
        (1, 2): "ein halb",
        (1, 3): "ein Drittel",
        (2, 3): "zwei Drittel",
        (1, 4): "ein Viertel",
        (3, 4): "drei Viertel",
        (1, 5): "ein Fünftel",
        (1, 8): "ein Achtel",
        (1, 10): "ein Zehntel",
    },
    months=MONTHS,
    month_short={name: index for index, name in enumerate("jan feb mär apr mai jun jul aug sep okt nov dez".split(), 1)}
    | {"jän": 1, "mrz": 3, "sept": 9},
    date=lambda day, month, year: f"{GERMAN.ordinal_words(day)} {month} {year}".strip(),
    clock=_clock,
    clock_words=r"Uhr\b",
    hour_alone=True,
    ordinal_sign=r"\.(?=\s(?:[a-zäöü]|[A-ZÄÖÜ]))",
    ordinal=_ordinal,
    roman=_roman,
    feminine=r"(?:ung|heit|keit|schaft|ion|tät|ik|ur|in|e|en)\b",
    count=_count,
    money_join="",
    money_part=False,
    scales={
        "Tausend": "tausend",
        "tausend": "tausend",
        "Mio.": "Millionen",
        "Mio": "Millionen",
        "Millionen": "Millionen",
        "Million": "Million",
        "Mrd.": "Milliarden",
        "Mrd": "Milliarden",
        "Milliarden": "Milliarden",
        "Milliarde": "Milliarde",
        "Tsd.": "tausend",
        "Billionen": "Billionen",
    },
    scale_of=lambda name: name,
    currencies={
        "€": Currency(_EURO, _CENT),
        "EUR": Currency(_EURO, _CENT),
        "$": Currency(Noun("Dollar", "Dollar"), _CENT),
        "US$": Currency(Noun("U. S. Dollar", "U. S. Dollar"), _CENT),
        "USD": Currency(Noun("U. S. Dollar", "U. S. Dollar"), _CENT),
        "£": Currency(_POUND, _PENNY),
        "GBP": Currency(_POUND, _PENNY),
        "CHF": Currency(Noun("Franken", "Franken"), Noun("Rappen", "Rappen")),
        "Fr.": Currency(Noun("Franken", "Franken"), Noun("Rappen", "Rappen")),
        "¥": Currency(Noun("Yen", "Yen")),
        "JPY": Currency(Noun("Yen", "Yen")),
    },
    units=nouns("""
        % | Prozent
        ‰ | Promille
        °C | Grad Celsius
        °F | Grad Fahrenheit
        ° | Grad
        km | Kilometer
        m | Meter
        cm | Zentimeter
        mm | Millimeter
        m² | Quadratmeter
        m³ | Kubikmeter
        km² | Quadratkilometer
        km/h | Kilometer pro Stunde
        kg | Kilogramm
        g | Gramm
        mg | Milligramm
        t | Tonne | Tonnen | f
        l | Liter
        L | Liter
        ml | Milliliter
        h | Stunde | Stunden | f
        Std. | Stunde | Stunden | f
        min | Minute | Minuten | f
        Min. | Minute | Minuten | f
        s | Sekunde | Sekunden | f
        ms | Millisekunde | Millisekunden | f
        W | Watt
        kW | Kilowatt
        kWh | Kilowattstunde | Kilowattstunden | f
        V | Volt
        Hz | Hertz
        kHz | Kilohertz
        MHz | Megahertz
        GHz | Gigahertz
        KB | Kilobyte
        MB | Megabyte
        GB | Gigabyte
        TB | Terabyte
        Mbit | Megabit
        dB | Dezibel
        ha | Hektar
        kcal | Kilokalorie | Kilokalorien | f
    """),
    unit_per={
        "h": "Stunde",
        "s": "Sekunde",
        "min": "Minute",
        "m²": "Quadratmeter",
        "kg": "Kilogramm",
        "Monat": "Monat",
        "Jahr": "Jahr",
        "l": "Liter",
    },
    symbols={
        "&": "und",
        "=": "gleich",
        "%": "Prozent",
        "@": "ät",
        "+": "plus",
        "§": "Paragraf",
        "€": "Euro",
        "$": "Dollar",
        "£": "Pfund",
        "°": "Grad",
        "±": "plus minus",
        "×": "mal",
        "÷": "geteilt durch",
        "≈": "ungefähr",
        "²": "Quadrat",
        "³": "hoch drei",
        "µ": "mikro",
        "Ω": "Ohm",
        "‰": "Promille",
        "√": "Wurzel aus",
        "∞": "unendlich",
        "≤": "kleiner gleich",
        "≥": "größer gleich",
    },
    between_numbers={
        "+": "plus",
        "*": "mal",
        "x": "mal",
        "×": "mal",
        "÷": "geteilt durch",
        "=": "gleich",
        "<": "kleiner als",
        ">": "größer als",
        ":": "zu",
    },
    web={
        ".": "Punkt",
        "/": "Schrägstrich",
        "-": "Minus",
        "_": "Unterstrich",
        "@": "ät",
        "+": "Plus",
        "?": "Fragezeichen",
        "=": "gleich",
        "&": "und",
        "#": "Raute",
        ":": "Doppelpunkt",
        "%": "Prozent",
        "~": "Tilde",
        "hashtag": "Hashtag",
    },
    spelled_signs={
        "*": "Stern",
        "\\": "Backslash",
        "'": "Apostroph",
        "!": "Ausrufezeichen",
        "<": "kleiner als",
        ">": "größer als",
        "€": "Euro",
        "$": "Dollar",
    },
    abbreviations=Abbreviations(
        never_end={
            "Dr": "Doktor",
            "Prof": "Professor",
            "Hr": "Herr",
            "Hrn": "Herrn",
            "Fr": "Frau",
            "St": "Sankt",
            "z.B": "zum Beispiel",
            "d.h": "das heißt",
            "u.a": "unter anderem",
            "bzw": "beziehungsweise",
            "ca": "circa",
            "vgl": "vergleiche",
            "evtl": "eventuell",
            "ggf": "gegebenenfalls",
            "inkl": "inklusive",
            "exkl": "exklusive",
            "zzgl": "zuzüglich",
            "sog": "sogenannte",
            "i.d.R": "in der Regel",
            "o.g": "oben genannte",
            "z.T": "zum Teil",
            "Dipl": "Diplom",
            "Ing": "Ingenieur",
            "Mag": "Magister",
            "max": "maximal",
            "mind": "mindestens",
            "v.a": "vor allem",
            "u.U": "unter Umständen",
            "m.E": "meines Erachtens",
            "a.D": "außer Dienst",
            "geb": "geboren",
            "gest": "gestorben",
        },
        may_end={
            "usw": "und so weiter",
            "etc": "et cetera",
            "Str": "Straße",
            "str": "straße",
            "Std": "Stunden",
            "Min": "Minuten",
            "Sek": "Sekunden",
            "Mio": "Millionen",
            "Mrd": "Milliarden",
            "Tel": "Telefon",
            "u.s.w": "und so weiter",
            "n.Chr": "nach Christus",
            "v.Chr": "vor Christus",
            "Jh": "Jahrhundert",
            "Abb": "Abbildung",
            "Abs": "Absatz",
            "Mo": "Montag",
            "Di": "Dienstag",
            "Mi": "Mittwoch",
            "Do": "Donnerstag",
        },
        before_number={
            "Nr": "Nummer",
            "S": "Seite",
            "Art": "Artikel",
            "Kap": "Kapitel",
            "Bd": "Band",
            "Abb": "Abbildung",
            "Abs": "Absatz",
            "Tel": "Telefon",
        },
    ),
    starters=frozenset(
        "Der Die Das Ein Eine Ich Du Er Sie Es Wir Ihr Und Oder Aber Doch Denn Dann Danach Da Dort Hier Heute"
        " Morgen Gestern Jetzt Nun Im In Am An Auf Aus Bei Mit Nach Von Vor Zu Zum Zur Für Um Wenn Weil Als Ob"
        " Wie Was Wer Wo Wann Warum Welche Kein Keine Nicht Man Mein Meine Dein Deine Sein Seine Ihre Unser"
        " Unsere Dieser Diese Dieses Alle Viele Bitte Ja Nein Auch Noch Nur So Seit Bis Ist Sind War Hat Haben"
        " Kann Können Soll Will Wird Jeder Jede Später Zuerst Außerdem Trotzdem Deshalb".split()
    ),
    conjunctions="und|oder|aber|denn|weil|dass|wenn|als|ob|wie|der|die|das|bis|für|mit|von",
    acronyms_read=frozenset("UNO NATO NASA OPEC UNESCO UNICEF AIDS BAFÖG GAU PIN APP".split()),
    year=_year,
    suffixes={"str.": "straße", "Str.": "Straße", "pl.": "platz"},
    day_ordinal=r"\.\s?",
    nearest_phones={"r": "ʁ", "ɾ": "ʁ", "ɹ": "ʁ", "ʀ": "ʁ", "χ": "x", "ɜ": "ɐ"},
)
