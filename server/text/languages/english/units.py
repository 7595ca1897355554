"""Units of measure after a number."""

import re

from server.text.languages.english import numbers
from server.text.normalize.source import NUMBER, Reading, Source

_SAME = {"GHz": "gigahertz", "MHz": "megahertz", "kHz": "kilohertz", "Hz": "hertz", "bps": "bits per second",
         "kbps": "kilobits per second", "Mbps": "megabits per second", "Gbps": "gigabits per second",
         "kbit/s": "kilobits per second", "Mbit/s": "megabits per second", "MB/s": "megabytes per second",
         "GB/s": "gigabytes per second", "mph": "miles per hour", "kph": "kilometers per hour",
         "kmh": "kilometers per hour", "rpm": "revolutions per minute", "fps": "frames per second",
         "psi": "pounds per square inch", "ppm": "parts per million", "dpi": "dots per inch", "%": "percent",
         "‰": "per mille", "px": "pixels", "lbs": "pounds", "hrs": "hours", "mins": "minutes", "secs": "seconds",
         "pp": "percentage points"}  # fmt: skip
_IRREGULAR = {
    "ft": ("foot", "feet"), "in": ("inch", "inches"), "sq ft": ("square foot", "square feet"), "lb": ("pound", "pounds"),
    "°": ("degree", "degrees"), "°C": ("degree Celsius", "degrees Celsius"), "℃": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"), "hp": ("horsepower", "horsepower"), "m": ("meter", "meters"),
}  # fmt: skip
_REGULAR = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "µm": "micrometer",
    "um": "micrometer", "mi": "mile", "yd": "yard", "kg": "kilogram", "g": "gram", "mg": "milligram", "µg": "microgram",
    "mcg": "microgram", "oz": "ounce", "gal": "gallon", "L": "liter", "l": "liter", "ml": "milliliter", "mL": "milliliter",
    "cl": "centiliter", "dl": "deciliter", "W": "watt", "kW": "kilowatt", "MW": "megawatt", "GW": "gigawatt", "Wh": "watt hour",
    "kWh": "kilowatt hour", "MWh": "megawatt hour", "V": "volt", "kV": "kilovolt", "mV": "millivolt", "mA": "milliamp",
    "mAh": "milliamp hour", "A": "amp", "KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte",
    "TB": "terabyte", "PB": "petabyte", "KiB": "kibibyte", "MiB": "mebibyte", "GiB": "gibibyte", "TiB": "tebibyte",
    "Mb": "megabit", "Gb": "gigabit", "dB": "decibel", "Pa": "pascal", "kPa": "kilopascal", "hPa": "hectopascal",
    "bar": "bar", "mbar": "millibar", "J": "joule", "kJ": "kilojoule", "cal": "calorie", "kcal": "kilocalorie",
    "N": "newton", "ms": "millisecond", "µs": "microsecond", "ns": "nanosecond", "s": "second", "sec": "second",
    "min": "minute", "h": "hour", "hr": "hour", "ha": "hectare", "ac": "acre", "t": "ton", "Ω": "ohm", "kΩ": "kilohm",
    "pt": "point", "tsp": "teaspoon", "tbsp": "tablespoon", "MP": "megapixel", "x": "x",
}  # fmt: skip
_NEEDS_NO_SPACE = frozenset("A J N t in pt MP ac x V".split())
"""Also English words, letters or labels: only right after the number."""

_UNIT = r"sq ft|[A-Za-zµΩ°%‰℃]{1,6}(?:/[A-Za-zµ]{1,4}(?![A-Za-z]))?[²³]?"
_MEASURE = re.compile(rf"(?P<number>[-+]?{NUMBER})(?P<space>\s?)(?P<unit>{_UNIT})(?![^\W_])")
_SHORT_SCALE = {"k": "thousand", "M": "million", "B": "billion"}
_SCALED = re.compile(rf"({NUMBER})(k\b|[MB](?=\s(?:[a-z]+s\b|people\b)))")
_INCHES = re.compile(rf"({NUMBER})(?:\s?in\.(?=\s[a-z(]|,)|\"(?!\w))")
_HEIGHT = re.compile(r"(\d{1,2})'\s?(\d{1,2})(?:\"|''|(?![\w']))")
_POWER = {"²": "square ", "³": "cubic "}


def spoken_unit(unit: str, singular: bool) -> str | None:
    """The name of a unit, or None if it is not one."""
    power = _POWER.get(unit[-1], "")
    base = unit[:-1] if power else unit
    if base in _SAME:
        return power + _SAME[base]
    if base in _IRREGULAR:
        return power + _IRREGULAR[base][0 if singular else 1]
    if base in _REGULAR:
        return power + _REGULAR[base] + ("" if singular or base == "x" else "s")
    above, slash, below = base.partition("/")
    if slash:
        top, bottom = spoken_unit(above, singular), spoken_unit(below, True)
        return f"{top} per {power}{bottom}" if top and bottom else None
    return None


def measure(source: Source, position: int) -> Reading | None:
    """``5 kg``, ``20 km/h``, ``72°F``, ``10GB``, ``15%``."""
    found = _MEASURE.match(source.text, position)
    if not found:
        return None
    amount, unit = found["number"], found["unit"]
    if found["space"] and (unit in _NEEDS_NO_SPACE or unit.rstrip("²³") in _NEEDS_NO_SPACE):
        return None
    name = spoken_unit(unit, amount.lstrip("+-") == "1")
    if name is None:
        return None
    phrase = numbers.number(amount)
    return [(phrase, found.start(), found.end("number")), (name, found.start("unit"), found.end())], found.end()


def scaled(source: Source, position: int) -> Reading | None:
    """``10M`` ten million, ``10k`` ten thousand."""
    found = _SCALED.match(source.text, position)
    if not found:
        return None
    return [(f"{numbers.number(found[1])} {_SHORT_SCALE[found[2]]}", found.start(), found.end())], found.end()


def inches(source: Source, position: int) -> Reading | None:
    """``4 in. tall``, and ``6"`` where the mark cannot close a quotation."""
    found = _INCHES.match(source.text, position)
    if not found or (found[0].endswith('"') and source.text.count('"', max(0, position - 300), position) % 2):
        return None
    name = spoken_unit("in", found[1] == "1")
    return [(f"{numbers.number(found[1])} {name}", position, found.end())], found.end()


def height(source: Source, position: int) -> Reading | None:
    """``5'11"``: feet and inches."""
    found = _HEIGHT.match(source.text, position)
    if not found or int(found[2]) > 11:
        return None
    feet = spoken_unit("ft", found[1] == "1")
    inches = spoken_unit("in", found[2] == "1")
    phrase = f"{numbers.cardinal(found[1])} {feet} {numbers.cardinal(found[2])} {inches}"
    return [(phrase, found.start(), found.end())], found.end()
