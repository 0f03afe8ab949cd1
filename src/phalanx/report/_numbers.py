"""How the page prints numbers: few digits, never a false zero, never a blank.

Everything that is shown passes through here, so that the same number looks the same in a sentence,
a table and a figure. A number that does not exist is printed as a dash, and an unbounded one in words.
"""

import math

MISSING = "–"
UNBOUNDED = "unbounded"
GLUE = "\u00a0"  # a number and its sign stay on one line
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(value: float | None, digits: int = 4) -> str:
    r"""`value` with so many significant digits.

    Example:
        >>> number(1093.77), number(-0.096611), number(2.5e9), number(1e-6), number(None)
        ('1,094', '−0.09661', '2.5\xa0×\xa010⁹', '10⁻⁶', '–')
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return UNBOUNDED
    rounded = float(f"{value:.{digits}g}")
    size = abs(rounded)
    if size != 0 and not 1e-4 <= size < 1e7:
        mantissa, exponent = f"{rounded:.{digits - 1}e}".split("e")
        power = f"10{str(int(exponent)).translate(_RAISED)}"
        alone = float(mantissa) == 1
        text = power if alone else f"{float(mantissa):g}{GLUE}×{GLUE}{power}"
    elif size >= 10 ** (digits - 1):
        text = f"{value:,.0f}"
    else:
        text = f"{rounded:,.{digits}g}"
    return text.replace("-", "−")


def percent(share: float | None) -> str:
    r"""A share of 1 in percent, in which neither "none" nor "all" is ever a matter of rounding.

    Example:
        >>> percent(0.604), percent(0.0), percent(0.0002), percent(0.99999), percent(0.07)
        ('60\xa0%', '0\xa0%', '<0.1\xa0%', '>99.9\xa0%', '7\xa0%')
    """
    if share is None or math.isnan(share):
        return MISSING
    hundredths = 100 * share
    if 0 < hundredths < 0.1:
        return f"<0.1{GLUE}%"
    if 99.9 < hundredths < 100:
        return f">99.9{GLUE}%"
    text = f"{hundredths:.0f}" if hundredths >= 9.95 else f"{hundredths:.1f}".removesuffix(".0")
    return f"{text}{GLUE}%"


def times(gain: float) -> str:
    r"""A gain, as a multiple.

    Example:
        >>> times(1048.18), times(math.inf)
        ('1,048\xa0×', 'unbounded')
    """
    return f"{number(gain)}{GLUE}×" if math.isfinite(gain) else number(gain)


def against(value: float, reference: float) -> str:
    r"""How `value` compares with `reference`, in words that follow "it is".

    Example:
        >>> against(113.0, 100.0), against(90.0, 100.0), against(2433.0, 100.0), against(1.0, 1.0)
        ('13\xa0% more', '10\xa0% less', '24 times as much', 'the same')
    """
    if not math.isfinite(value):
        return "without bound"
    if reference <= 0:
        return "the same" if value == reference else "more" if value > reference else "less"
    ratio = value / reference
    if abs(ratio - 1) < 5e-4:
        return "the same"
    if ratio >= 2:
        return f"{number(ratio, 2)} times as much"
    if ratio > 1:
        return f"{percent(ratio - 1)} more"
    return f"{percent(1 - ratio)} less"


def listing(items: list[str]) -> str:
    """The items as prose.

    Example:
        >>> listing(["a", "b", "c"]), listing(["a"])
        ('a, b and c', 'a')
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """The count with its noun.

    Example:
        >>> plural(1, "agent"), plural(1000, "agent")
        ('1 agent', '1,000 agents')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
