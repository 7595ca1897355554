"""Italian."""

from server.text.languages.language import Abbreviations, Currency, Language, Noun, nouns

MONTHS = (
    "gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre", "ottobre",
    "novembre", "dicembre",
)  # fmt: skip


def _count(words: str, gender: str) -> str:
    if words == "uno":
        return "una" if gender == "f" else "un"
    return words


def _ordinal(number: int, ending: str) -> str:
    words = ITALIAN.ordinal_words(number)
    return words[:-1] + "a" if ending in ("ª", "a") else words


def _clock(hour: int, minute: int) -> str:
    spoken = "una" if hour == 1 else ITALIAN.cardinal(str(hour))
    return f"{spoken} e {ITALIAN.cardinal(str(minute))}" if minute else spoken


_EURO, _CENT = Noun("euro", "euro"), Noun("centesimo", "centesimi")
_DOLLAR = Noun("dollaro", "dollari")
_POUND, _PENNY = Noun("sterlina", "sterline", "f"), Noun("penny", "pence")

ITALIAN: Language = Language(
    code="it",
    decimal=",",
    point="virgola",
    minus="meno",
    plus="più",
    to="a",
    over="su",
    per="al",
    fractions={
        (1, 2): "un mezzo",
        (1, 3): "un terzo",
        (2, 3): "due terzi",
        (1, 4): "un quarto",
        (3, 4): "tre quarti",
        (1, 5): "un quinto",
        (1, 8): "un ottavo",
        (1, 10): "un decimo",
    },
    months=MONTHS,
    month_short={name[:3]: index for index, name in enumerate(MONTHS, 1)} | {"sett": 9},
    date=lambda day, month, year: f"{'primo' if day == 1 else ITALIAN.cardinal(str(day))} {month} {year}".strip(),
    clock=_clock,
    clock_words=r"(?:h|ore)\b",
    hour_alone=False,
    ordinal_sign=r"\.?(?:[oa](?!\w)|°(?=\s[a-z]))",
    ordinal=_ordinal,
    roman=lambda number, before: ITALIAN.ordinal_words(number),
    feminine=r"(?:a|ione|tà)\b",
    count=_count,
    money_join="e",
    money_part=True,
    scales={name: name for name in ("mila", "milione", "milioni", "miliardo", "miliardi")}
    | {"mln": "milioni", "mld": "miliardi"},
    scale_of=lambda name: f"di {name}",
    currencies={
        "€": Currency(_EURO, _CENT),
        "EUR": Currency(_EURO, _CENT),
        "$": Currency(_DOLLAR, _CENT),
        "US$": Currency(_DOLLAR, _CENT),
        "USD": Currency(_DOLLAR, _CENT),
        "£": Currency(_POUND, _PENNY),
        "GBP": Currency(_POUND, _PENNY),
        "CHF": Currency(Noun("franco", "franchi"), _CENT),
        "¥": Currency(Noun("yen", "yen")),
    },
    units=nouns("""
        % | per cento
        ‰ | per mille
        °C | grado Celsius | gradi Celsius
        °F | grado Fahrenheit | gradi Fahrenheit
        ° | grado | gradi
        km | chilometro | chilometri
        m | metro | metri
        cm | centimetro | centimetri
        mm | millimetro | millimetri
        m² | metro quadrato | metri quadrati
        mq | metro quadrato | metri quadrati
        m³ | metro cubo | metri cubi
        km² | chilometro quadrato | chilometri quadrati
        km/h | chilometro orario | chilometri orari
        kg | chilo | chili
        g | grammo | grammi
        mg | milligrammo | milligrammi
        t | tonnellata | tonnellate | f
        l | litro | litri
        L | litro | litri
        ml | millilitro | millilitri
        h | ora | ore | f
        min | minuto | minuti
        s | secondo | secondi
        ms | millisecondo | millisecondi
        W | watt
        kW | chilowatt
        kWh | chilowattora
        V | volt
        Hz | hertz
        kHz | chilohertz
        MHz | megahertz
        GHz | gigahertz
        KB | kilobyte
        MB | megabyte
        GB | gigabyte
        TB | terabyte
        dB | decibel
        ha | ettaro | ettari
        kcal | chilocaloria | chilocalorie | f
    """),
    unit_per={"h": "ora", "s": "secondo", "min": "minuto", "mese": "mese", "giorno": "giorno", "kg": "chilo", "notte": "notte"},
    symbols={
        "&": "e",
        "=": "uguale",
        "%": "per cento",
        "@": "chiocciola",
        "+": "più",
        "§": "paragrafo",
        "€": "euro",
        "$": "dollari",
        "£": "sterline",
        "°": "gradi",
        "±": "più o meno",
        "×": "per",
        "÷": "diviso",
        "≈": "circa",
        "²": "al quadrato",
        "³": "al cubo",
        "µ": "micro",
        "Ω": "ohm",
        "‰": "per mille",
        "√": "radice di",
        "∞": "infinito",
        "≤": "minore o uguale a",
        "≥": "maggiore o uguale a",
    },
    between_numbers={
        "+": "più",
        "*": "per",
        "x": "per",
        "×": "per",
        "÷": "diviso",
        "=": "uguale a",
        "<": "minore di",
        ">": "maggiore di",
        ":": "a",
    },
    web={
        ".": "punto",
        "/": "barra",
        "-": "trattino",
        "_": "trattino basso",
        "@": "chiocciola",
        "+": "più",
        "?": "punto di domanda",
        "=": "uguale",
        "&": "e",
        "#": "cancelletto",
        ":": "due punti",
        "%": "per cento",
        "~": "tilde",
        "hashtag": "hashtag",
    },
    spelled_signs={
        "*": "asterisco",
        "\\": "barra inversa",
        "'": "apostrofo",
        "!": "punto esclamativo",
        "<": "minore di",
        ">": "maggiore di",
        "€": "euro",
        "$": "dollaro",
    },
    abbreviations=Abbreviations(
        never_end={
            "Sig": "signor",
            "sig": "signor",
            "Sig.ra": "signora",
            "Sig.na": "signorina",
            "Dott": "dottor",
            "dott": "dottor",
            "Dott.ssa": "dottoressa",
            "Dr": "dottor",
            "Prof": "professor",
            "prof": "professor",
            "Prof.ssa": "professoressa",
            "Avv": "avvocato",
            "Ing": "ingegner",
            "ing": "ingegner",
            "Arch": "architetto",
            "Rag": "ragionier",
            "On": "onorevole",
            "S": "san",
            "es": "esempio",
            "p.es": "per esempio",
            "P.za": "piazza",
            "V.le": "viale",
            "C.so": "corso",
            "ca": "circa",
        },
        may_end={
            "ecc": "eccetera",
            "etc": "eccetera",
            "a.C": "avanti Cristo",
            "d.C": "dopo Cristo",
            "tel": "telefono",
            "Tel": "telefono",
            "S.p.A": "società per azioni",
            "S.r.l": "esse erre elle",
            "max": "massimo",
            "min": "minimo",
        },
        before_number={
            "n": "numero",
            "N": "numero",
            "nr": "numero",
            "pag": "pagina",
            "p": "pagina",
            "pagg": "pagine",
            "art": "articolo",
            "cap": "capitolo",
            "vol": "volume",
            "fig": "figura",
            "tel": "telefono",
        },
    ),
    starters=frozenset(
        "Il Lo La I Gli Le Un Uno Una Io Tu Lui Lei Noi Voi Loro E O Ma Però Poi Dopo Prima Allora Oggi"
        " Domani Ieri Ora Adesso Qui Là In Di Da Con Su Per Tra Fra A Al Alla Nel Nella Dal Del Della Se"
        " Quando Come Perché Dove Chi Che Cosa Quale Quanto Non Sì No Mio Mia Suo Sua Nostro Questo Questa"
        " Quello Quella Questi Tutto Tutti Molti È Sono Ha Hanno Era Si Mi Ti Ci Vi Anche Ancora Già Più Senza"
        " Grazie Buongiorno".split()
    ),
    conjunctions="e|o|ma|perché|che|quando|se|come|per|con|di|in|dove|senza",
    acronyms_read=frozenset("ONU NATO NASA UFO AIDS UNESCO UNICEF IVA PIN FIAT RAI INPS ISTAT".split()),
    elisions=frozenset(
        "l un dell all dall nell sull coll quell quest c d m s t v n gl dov com tutt sant bell buon mezz anch"
        " quant cos senz".split()
    ),
    nearest_phones={"ɹ": "r", "ʁ": "r", "ʀ": "r", "ɪ": "i", "ʊ": "u"},
)
