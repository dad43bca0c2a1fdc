"""Every sentence that the statistics say. Numbers come in, words go out; nothing is decided here."""

import math
from collections.abc import Sequence

from look.numbers import percent

__all__ = [
    "IN_TURN",
    "ONE_SHOWN",
    "UNLIKE_LABELLED",
    "about",
    "contradiction",
    "e_value",
    "equivalent",
    "faster",
    "gain",
    "headline",
    "held_against",
    "how_far_is_open",
    "not_worth",
    "outlook",
    "points",
    "price",
    "story",
    "too_few",
    "until_verdict",
    "which_labels",
]

ONE_SHOWN = "people saw an answer, and whose was not drawn at random, 50 : 50 (abtest split --pair)"
IN_TURN = "people saw an answer, and photos went to the variants in turn, not at random (abtest split --pair)"
UNLIKE_LABELLED = "people saw an answer, and label some answers more often than others for reasons of their own"


def which_labels(blind: int, seen: int, left_out: Sequence[tuple[str, int]]) -> str:
    """Which labels decided, and why others did not; `left_out` are reasons and numbers."""
    those_seen = f"{_labels(seen)} of people who saw either variant's answer, drawn at random,"
    if blind:
        said = f"{_labels(blind)} of people who had seen no answer decide"
        said += f"; {those_seen} only which variant is ahead" if seen else ""
    else:
        said = f"{those_seen} decide which variant is ahead, not how far" if seen else "No label decides yet"
    out = [f"{_labels(count)}, since {reason}" for reason, count in left_out if count]
    return f"{said}. Left out: {'; '.join(out)}." if out else f"{said}."


def _labels(count: int) -> str:
    return f"{count:,} label" if count == 1 else f"{count:,} labels"


# The verdict


def points(difference: float) -> str:
    """A difference in accuracy in points, with its sign."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}".replace("-", "−")


def gain(estimate: float, low: float, high: float, alpha: float, seen: bool = False) -> str:
    """A difference and its interval: "+13.3 points (95 %: +1.6 to +24.4)".

    `seen`: labels of people who saw an answer are among them, so that it holds for the labelled photos, not for all.
    """
    found = f"{points(estimate)} points ({percent(1 - alpha)}: {points(low)} to {points(high)})"
    return f"{found} among labelled photos" if seen else found


def headline(outcome: str, variant: str | None, found: str = "", latched: str = "") -> str:
    """The verdict's first line; `found` is the `gain` in favour of `variant`, `latched` why a guardrail acted."""
    said = {
        "better": f"{variant} is better: {found}" if found else f"{variant} is better",
        "not_worth": f"Not worth it: keep {variant}",
        "equivalent": "Practically equivalent",
        "keep_going": "Keep going",
        "invalid": "Invalid",
    }[outcome]
    return f"Guardrail: {latched}. {said}" if latched else said


def price(seconds: tuple[float, float] | None, memory: tuple[float, float] | None = None) -> str:
    """What the variant costs beside the other: typical seconds, and bytes, of (it, the other); empty without either.

    >>> price((0.0091, 0.000325), (2e9, 1e9))
    'At 28 × the time of an answer (median 9.1 against 0.3 ms) and 2 × the memory'
    """
    parts = []
    if seconds and min(seconds) > 0:
        spent = f"{_times(seconds[0] / seconds[1])} the time of an answer"
        parts.append(f"{spent} (median {_ms(seconds[0])} against {_ms(seconds[1])} ms)")
    if memory and min(memory) > 0:
        parts.append(f"{_times(memory[0] / memory[1])} the memory")
    return f"At {' and '.join(parts)}" if parts else ""


def _times(ratio: float) -> str:
    if ratio >= 0.95:
        return f"{ratio:.0f} ×" if ratio >= 9.5 else f"{float(f'{ratio:.2g}'):g} ×"
    return f"1/{float(f'{1 / ratio:.2g}'):,.0f}" if ratio < 0.105 else f"{ratio:.2g} ×"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f}" if seconds >= 0.01 else f"{1000 * seconds:.1f}"


def story(names: tuple[str, ...], pairs: tuple[int, ...] | None, epochs: Sequence[Sequence[tuple[int, int]]]) -> str:
    """Both kinds of evidence in words, beginning with the variant that is ahead, names[0].

    `pairs` are photos that only names[0] and that only names[1] got right; `epochs` those that one variant scored,
    right and all of names[0], and of names[1]. Where the two kinds point to different sides, only the one that points
    to names[0] is told.
    """
    first, second = names
    parts: list[str] = []
    against: list[str] = []
    if pairs is not None:
        photos = "photo" if pairs[0] == 1 else "photos"
        lead = f"{first} answered {pairs[0]:,} {photos} right that {second} got wrong"
        kind = parts if pairs[0] >= pairs[1] else against
        kind.append(f"{lead}, and {second} {pairs[1]:,} the other way round")
    count = sum(n for of in epochs for _, n in of)
    if count:
        apart = "of photos that one of them saw, " if pairs is not None else ""
        (k0, n0), (k1, n1) = epochs[0]
        shares = _standardised(epochs)
        said = f"{first} answered {k0:,} of {n0:,} right, and {second} {k1:,} of {n1:,}"
        if len(epochs) > 1:
            # Sums over epochs could say the opposite.
            each = f"{first} answered {percent(shares[0])} right, and {second} {percent(shares[1])}"
            said = f"{each}, compared epoch by epoch ({count:,} labels)"
        (parts if shares[0] >= shares[1] else against).append(f"{apart}{said}")
    return "; ".join(parts or against) or "no labels yet"


def _standardised(epochs: Sequence[Sequence[tuple[int, int]]]) -> list[float]:
    """Shares of right answers of both, the epochs weighed as in the test."""
    weights = [first[1] * second[1] / max(first[1] + second[1], 1) for first, second in epochs]
    whole = sum(weights) or 1.0
    return [
        sum(weight * of[which][0] / max(of[which][1], 1) for weight, of in zip(weights, epochs, strict=True)) / whole
        for which in (0, 1)
    ]


def held_against(log_value: float, needed: float) -> str:
    return f"e-value {e_value(log_value)}, {needed:,.0f} needed"


def contradiction(said: str, seen: bool) -> str:
    kinds = "blind and seen labels, or paired and unpaired ones," if seen else "paired and unpaired labels"
    return f"{kinds} contradict each other: {said}"


def how_far_is_open(candidate: str, worth: float, blind: bool) -> str:
    """Why a comparison goes on although the candidate is proven better."""
    said = f"{candidate} is better; whether by the {100 * worth:g} points that it must gain is open"
    return said if blind else f"{said}, and only labels of people who saw no answer can tell"


def e_value(log_value: float) -> str:
    if log_value > math.log(1e6):
        return "above a million"
    return f"{math.exp(log_value):,.0f}" if log_value > math.log(9.5) else f"{math.exp(log_value):.1f}"


def equivalent(candidate: str, control: str, low: float, high: float, margin: float) -> str:
    between = f"between {points(low)} and {points(high)} points, within ±{100 * margin:g}"
    return f"{candidate}'s accuracy less {control}'s lies {between}"


def faster(name: str, seconds: tuple[float, float]) -> str:
    return f", and {name} is the faster ({min(seconds) * 1000:,.0f} ms against {max(seconds) * 1000:,.0f} ms)"


def not_worth(candidate: str, control: str, found: str, worth: float, better: bool) -> str:
    """Why the candidate is not worth its price: it gains too little, whether or not it gains anything."""
    lead = f"{candidate} is better than {control}, but not by" if better else f"{candidate} does not gain"
    return f"{lead} the {100 * worth:g} points that it must gain to be worth its price: {found}"


def too_few(labels: int, minimum: int) -> str:
    return f"{labels:,} labels, {minimum:,} at the least"


def outlook(forecast: tuple[int, int, int | None, float] | None) -> str:
    """How long it still takes; `forecast` is low, likely, high (None: no end in sight) and the level of high."""
    if forecast is None:
        return "how many more labels it takes cannot be said yet"
    _, likely, high, level = forecast
    if high is None:
        return f"about {about(likely)} more labels, if the difference is what it seems"
    said = f"about {about(likely)} more labels, if the difference is what it seems"
    return f"{said}; with {percent(level)} probability at most {about(high)}"


def about(count: int) -> str:
    """Two digits, rounded up: what is promised within so many is promised."""
    unit = 10 ** max(len(str(count)) - 2, 0)
    return f"{-(-count // unit) * unit:,}"


# Simulation


def until_verdict(what: str, quantiles: tuple[float, float, float], horizon: float) -> str:
    """When a verdict comes: 10, 50, 90 % quantiles in labels or days (`what`), infinite beyond `horizon`."""

    def said(number: float) -> str:
        return f"{number:,.1f}" if what == "days" and number < 100 else f"{number:,.0f}"

    few, middle, many = quantiles
    if math.isinf(few):
        return f"Not within {said(horizon)} {what}, in nine of ten experiments"
    half = f"half of the experiments within {said(middle)}" if not math.isinf(middle) else ""
    most = f"nine of ten within {said(many)}" if not math.isinf(many) else f"nine of ten not within {said(horizon)}"
    less = "" if half else f"half of them not within {said(horizon)}"
    return f"A verdict in {what}: one of ten within {said(few)}, {half or less}" + (f", {most}" if half else "")
