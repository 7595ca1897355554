"""Spanish."""

from collections.abc import Sequence

from server.text.languages.language import Abbreviations, Currency, Language, Noun, nouns
from server.text.pronunciation import PhoneWithStress, Pronunciation

MONTHS = (
    "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
)  # fmt: skip


_WEAK = {"b": "β", "d": "ð", "ɡ": "ɣ"}
_STRONG = {weak: strong for strong, weak in _WEAK.items()}
_NASALS = frozenset("m n ɲ ŋ".split())
_BEFORE_LIPS = frozenset("p b β m f".split())


def _join(words: Sequence[str], phones: list[Pronunciation]) -> list[Pronunciation]:
    """b, d and g are stops after a pause or a nasal, else approximants; n takes the place of a lip sound after it."""
    joined: list[Pronunciation] = []
    for spoken in phones:
        before = joined[-1][-1].symbol if joined and joined[-1] else ""
        if spoken:
            first = spoken[0].symbol
            stops = not before or before in _NASALS or (before == "l" and first in "dð")
            first = _STRONG.get(first, first) if stops else _WEAK.get(first, first)
            spoken = (PhoneWithStress(first, spoken[0].stress), *spoken[1:])
            if before == "n" and first in _BEFORE_LIPS:
                joined[-1] = (*joined[-1][:-1], PhoneWithStress("m"))
        joined.append(spoken)
    return joined


def _count(words: str, gender: str) -> str:
    if gender == "f":
        words = words.replace("cientos", "cientas").replace("quinientos", "quinientas")
    if words.endswith("veintiuno"):
        return words[:-3] + ("una" if gender == "f" else "ún")
    if words == "uno" or words.endswith(" uno"):
        return words[:-1] + ("a" if gender == "f" else "")
    return words


def _ordinal(number: int, ending: str) -> str:
    words = SPANISH.ordinal_words(number)
    if "ª" in ending or "a" in ending:
        return words.replace("mo ", "ma ")[:-1] + "a"
    return words[:-1] if "er" in ending and words.endswith(("primero", "tercero")) else words


def _clock(hour: int, minute: int) -> str:
    spoken = "una" if hour == 1 else SPANISH.count(SPANISH.cardinal(str(hour)), "f")
    return f"{spoken} {SPANISH.cardinal(str(minute))}" if minute else spoken


_EURO, _CENT = Noun("euro", "euros"), Noun("céntimo", "céntimos")
_DOLLAR, _CENTAVO = Noun("dólar", "dólares"), Noun("centavo", "centavos")
_POUND, _PENNY = Noun("libra", "libras", "f"), Noun("penique", "peniques")
_PESO = Noun("peso", "pesos")

SPANISH: Language = Language(
    code="es",
    decimal=",",
    point="coma",
    minus="menos",
    plus="más",
    to="a",
    over="partido por",
    per="por",
    fractions={
        (1, 2): "un medio",
        (1, 3): "un tercio",
        (2, 3): "dos tercios",
        (1, 4): "un cuarto",
        (3, 4): "tres cuartos",
        (1, 5): "un quinto",
        (1, 8): "un octavo",
        (1, 10): "un décimo",
    },
    months=MONTHS,
    month_short={name[:3]: index for index, name in enumerate(MONTHS, 1)} | {"sept": 9},
    date=lambda day, month, year: (
        f"{'primero' if day == 1 else SPANISH.cardinal(str(day))} de {month}" + (f" de {year}" if year else "")
    ),
    clock=_clock,
    clock_words=r"(?:h|hs|horas)\b",
    hour_alone=False,
    ordinal_sign=r"\.?(?:[oa]|er|r[oa]|d[oa]|t[oa]|m[oa]|v[oa]|n[oa])(?!\w)",
    ordinal=_ordinal,
    roman=lambda number, before: SPANISH.cardinal(str(number)),
    feminine=r"(?:as?|ciones|ción|dades|dad|sión|siones)\b",
    count=_count,
    money_join="con",
    money_part=True,
    scales={name: name for name in ("mil", "millón", "millones", "billón", "billones")} | {"M": "millones"},
    scale_of=lambda name: f"de {name}",
    currencies={
        "€": Currency(_EURO, _CENT),
        "EUR": Currency(_EURO, _CENT),
        "$": Currency(_DOLLAR, _CENTAVO),
        "US$": Currency(_DOLLAR, _CENTAVO),
        "USD": Currency(_DOLLAR, _CENTAVO),
        "£": Currency(_POUND, _PENNY),
        "GBP": Currency(_POUND, _PENNY),
        "MXN": Currency(_PESO, _CENTAVO),
        "ARS": Currency(_PESO, _CENTAVO),
        "¥": Currency(Noun("yen", "yenes")),
        "CHF": Currency(Noun("franco", "francos"), _CENT),
    },
    units=nouns("""
        % | por ciento
        ‰ | por mil
        °C | grado Celsius | grados Celsius
        ºC | grado Celsius | grados Celsius
        °F | grado Fahrenheit | grados Fahrenheit
        ° | grado | grados
        km | kilómetro | kilómetros
        m | metro | metros
        cm | centímetro | centímetros
        mm | milímetro | milímetros
        m² | metro cuadrado | metros cuadrados
        m³ | metro cúbico | metros cúbicos
        km² | kilómetro cuadrado | kilómetros cuadrados
        km/h | kilómetro por hora | kilómetros por hora
        kg | kilo | kilos
        g | gramo | gramos
        mg | miligramo | miligramos
        t | tonelada | toneladas | f
        l | litro | litros
        L | litro | litros
        ml | mililitro | mililitros
        h | hora | horas | f
        min | minuto | minutos
        s | segundo | segundos
        ms | milisegundo | milisegundos
        W | vatio | vatios
        kW | kilovatio | kilovatios
        kWh | kilovatio hora | kilovatios hora
        V | voltio | voltios
        Hz | hercio | hercios
        kHz | kilohercio | kilohercios
        MHz | megahercio | megahercios
        GHz | gigahercio | gigahercios
        KB | kilobyte | kilobytes
        MB | megabyte | megabytes
        GB | gigabyte | gigabytes
        TB | terabyte | terabytes
        dB | decibelio | decibelios
        ha | hectárea | hectáreas | f
        kcal | kilocaloría | kilocalorías | f
    """),
    unit_per={
        "h": "hora",
        "s": "segundo",
        "min": "minuto",
        "mes": "mes",
        "día": "día",
        "año": "año",
        "kg": "kilo",
        "noche": "noche",
    },
    symbols={
        "&": "y",
        "=": "igual a",
        "%": "por ciento",
        "@": "arroba",
        "+": "más",
        "§": "sección",
        "€": "euros",
        "$": "dólares",
        "£": "libras",
        "°": "grados",
        "±": "más menos",
        "×": "por",
        "÷": "entre",
        "≈": "aproximadamente",
        "²": "al cuadrado",
        "³": "al cubo",
        "µ": "micro",
        "Ω": "ohmios",
        "‰": "por mil",
        "√": "raíz de",
        "∞": "infinito",
        "≤": "menor o igual a",
        "≥": "mayor o igual a",
    },
    between_numbers={
        "+": "más",
        "*": "por",
        "x": "por",
        "×": "por",
        "÷": "entre",
        "=": "igual a",
        "<": "menor que",
        ">": "mayor que",
        ":": "a",
    },
    web={
        ".": "punto",
        "/": "barra",
        "-": "guion",
        "_": "guion bajo",
        "@": "arroba",
        "+": "más",
        "?": "interrogación",
        "=": "igual",
        "&": "y",
        "#": "almohadilla",
        ":": "dos puntos",
        "%": "por ciento",
        "~": "tilde",
        "hashtag": "hashtag",
    },
    spelled_signs={
        "*": "asterisco",
        "\\": "barra invertida",
        "'": "apóstrofo",
        "!": "exclamación",
        "<": "menor que",
        ">": "mayor que",
        "€": "euro",
        "$": "dólar",
    },
    abbreviations=Abbreviations(
        never_end={
            "Sr": "señor",
            "Sra": "señora",
            "Srta": "señorita",
            "Dr": "doctor",
            "Dra": "doctora",
            "Prof": "profesor",
            "Profa": "profesora",
            "D": "don",
            "Dña": "doña",
            "Sto": "santo",
            "Sta": "santa",
            "Gral": "general",
            "Lic": "licenciado",
            "Ing": "ingeniero",
            "p.ej": "por ejemplo",
            "p. ej": "por ejemplo",
            "ej": "ejemplo",
            "aprox": "aproximadamente",
            "Av": "avenida",
            "Avda": "avenida",
            "Mr": "míster",
        },
        may_end={
            "etc": "etcétera",
            "Ud": "usted",
            "Uds": "ustedes",
            "Vd": "usted",
            "Vds": "ustedes",
            "EE.UU": "Estados Unidos",
            "EE. UU": "Estados Unidos",
            "a.C": "antes de Cristo",
            "d.C": "después de Cristo",
            "S.A": "sociedad anónima",
            "a.m": "de la mañana",
            "p.m": "de la tarde",
            "Cía": "compañía",
            "Tel": "teléfono",
            "tel": "teléfono",
        },
        before_number={
            "n": "número",
            "núm": "número",
            "Núm": "número",
            "N": "número",
            "pág": "página",
            "p": "página",
            "págs": "páginas",
            "art": "artículo",
            "cap": "capítulo",
            "vol": "volumen",
            "fig": "figura",
            "c": "calle",
            "tel": "teléfono",
        },
    ),
    starters=frozenset(
        "El La Los Las Un Una Unos Unas Yo Tú Él Ella Usted Nosotros Ellos Ellas Ustedes Y O Pero Entonces"
        " Después Luego Hoy Mañana Ayer Ahora Aquí Allí En De Con Por Para Sin Sobre Desde Hasta Si Cuando"
        " Como Porque Aunque Qué Quién Dónde Cuándo Cómo No Sí Mi Su Tu Nuestro Este Esta Esto Ese Esa Eso"
        " Estos Estas Todo Todos Muchos Es Son Está Están Hay Era Fue Se Me Te Le Lo Les Nos Al Del Más"
        " También Además Tampoco Ya".split()
    ),
    conjunctions="y|o|pero|porque|que|cuando|si|como|para|con|de|en|aunque|donde|sin",
    acronyms_read=frozenset("ONU OTAN NASA OVNI SIDA UNESCO UNICEF IVA PIN RENFE".split()),
    join=_join,
    nearest_phones={"ɹ": "ɾ", "ʁ": "r", "ʀ": "r", "χ": "x", "h": "x"},
)
