"""Inline SVG: pictures of the report, without a script. Colours come from the style sheet, by class.

Curves say their values where they are pointed at, by a title; ``report.js`` says them aloud and by key, too.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Literal

from markupsafe import Markup, escape

from experiment.statistics.messages import points
from look.numbers import percent

__all__ = ["accuracy_curve", "difference_curve", "forest", "latency", "scale", "split_bar", "variant_class"]

# Narrow, so that a phone need not shrink the lettering.
_WIDTH, _HEIGHT = 380.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 8.0, 10.0, 28.0

Facts = Mapping[str, Any]
By = Literal["labels", "time"]
"""What a curve runs over."""

_OVER = {"labels": "by the number of labels", "time": "over time"}
# Points of a curve that can be pointed at.
_MOST_HITS = 60
_MOST_CLASSES = 12
_Place = Callable[[float], float]
_Say = Callable[[float], str]


def accuracy_curve(report: Facts, by: By = "labels") -> Markup:
    """Both accuracies over the number of labels, or over time, with their confidence sequences."""
    plan, curve = report["experiment"], report["curve"]
    names = (plan["control"], plan["candidate"])
    found = [_Band(curve[name], 0.0, 1.0) for name in names]
    # The first labels' bands span everything; what matters lies where the estimates are.
    middle = len(curve["labels"]) // 2
    lowest = min(min([*band.known("estimate"), band.of["low"][middle]]) for band in found)
    frame = _Frame(curve, by, math.floor(10 * max(0.0, lowest - 0.03)) / 10, 1.0)
    parts = [_grid_y(frame, _ticks(frame.low, 1.0), percent), _grid_x(frame)]
    parts += [_line(frame, band, f"v{place}") for place, band in enumerate(found)]
    parts.append(
        _hits(frame, lambda at: "; ".join(_said(n, band, at, percent) for n, band in zip(names, found, strict=True)))
    )
    return _svg(parts, f"Accuracy of {names[0]} and {names[1]} {_OVER[by]}")


def difference_curve(report: Facts, by: By = "labels") -> Markup:
    """Accuracy of the candidate less that of the control, with 0 and the margin."""
    plan, curve = report["experiment"], report["curve"]
    found, margin = _Band(curve["difference"], -1.0, 1.0), plan["margin"]
    middle = len(curve["labels"]) // 2
    reach = max(abs(found.of["low"][middle]), abs(found.of["high"][middle]), 2 * margin, 0.05)
    reach = min(1.0, math.ceil(20 * reach) / 20)
    frame = _Frame(curve, by, -reach, reach)
    y, wide = frame.y, _WIDTH - _RIGHT
    parts = [
        f'<rect class="margin" x="{_LEFT}" y="{y(margin):.1f}" width="{wide - _LEFT}" '
        f'height="{y(-margin) - y(margin):.1f}"/>',
        _grid_y(frame, [-reach, -reach / 2, 0, reach / 2, reach], lambda at: points(at) if at else "0"),
        _grid_x(frame),
        f'<line class="zero" x1="{_LEFT}" x2="{wide}" y1="{y(0):.1f}" y2="{y(0):.1f}"/>',
        _line(frame, found, "vd"),
        _note(y(reach) + 11, f"{plan['candidate']} ahead"),
        _note(y(-reach) - 5, f"{plan['control']} ahead"),
        _hits(frame, lambda at: _said(f"{plan['candidate']} less {plan['control']}", found, at, points)),
    ]
    return _svg(parts, f"Difference in accuracy {_OVER[by]}")


def scale(report: Facts) -> Markup:
    """Where the difference lies: estimate and both ends of its confidence sequence, with 0 and the margin."""
    plan, verdict = report["experiment"], report["verdict"]
    low, estimate, high = (verdict[name] for name in ("low", "estimate", "high"))
    reach = min(1.0, max(0.05, 1.15 * max(abs(low), abs(high))))
    x = _linear(-reach, reach, 14, _WIDTH - 14)
    margin = min(plan["margin"], reach)
    y = 48.0
    parts = [
        f'<rect class="margin" x="{x(-margin):.1f}" y="{y - 14}" width="{x(margin) - x(-margin):.1f}" height="28"/>',
        f'<line class="axis" x1="{x(-reach)}" x2="{x(reach)}" y1="{y}" y2="{y}"/>',
        f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="{y - 16}" y2="{y + 16}"/>',
        f'<line class="span" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y}" y2="{y}"/>',
        f'<text y="12" x="{x(-reach)}">{escape(plan["control"])} better</text>',
        f'<text y="12" x="{x(reach)}" text-anchor="end">{escape(plan["candidate"])} better</text>',
        f'<text class="small" y="{y + 44}" x="{x(0)}" text-anchor="middle">0 is the same</text>',
    ]
    if known := low > -1 or high < 1:
        parts.append(f'<circle class="dot" cx="{x(estimate):.1f}" cy="{y}" r="6"/>')
        place = min(max(x(estimate), 24), _WIDTH - 24)
        parts.append(
            f'<text class="strong" y="{y - 17}" x="{place:.1f}" text-anchor="middle">{points(estimate)}</text>'
        )
    # Both ends or none, and never one over the other.
    left, right = x(low), x(high)
    apart = max(0.0, 52 - (right - left)) / 2
    left, right = max(left - apart, 22), min(right + apart, _WIDTH - 22)
    left, right = min(left, right - 52), max(right, left + 52)
    if known:
        parts += [
            f'<text y="{y + 28}" x="{place:.1f}" text-anchor="middle">{points(end)}</text>'
            for place, end in ((left, low), (right, high))
        ]
    said = f"{points(estimate)} points, between {points(low)} and {points(high)}" if known else "not known yet"
    return _svg(parts, f"The difference: {said}", 96)


def forest(report: Facts) -> Markup:
    """Accuracy on each true class, of both, with confidence sequences; of many classes those that most is known of."""
    plan = report["experiment"]
    names = (plan["control"], plan["candidate"])
    ranked = sorted(report["classes"].items(), key=lambda item: (not item[1]["worse"], -_labels_of(item[1], names)))
    classes = dict(ranked[:_MOST_CLASSES]) if len(ranked) > _MOST_CLASSES else report["classes"]
    seen = [found[name]["low"] for found in classes.values() for name in names if found[name]["total"]]
    floor = math.floor(4 * min(seen, default=0)) / 4
    x = _linear(floor, 1, 84, _WIDTH - 20)
    row = 46.0
    bottom = row * len(classes) + 6
    parts = [
        f'<line class="grid" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="4" y2="{bottom}"/>'
        f'<text x="{x(t):.1f}" y="{bottom + 15}" text-anchor="middle">{percent(t)}</text>'
        for t in (0, 0.25, 0.5, 0.75, 1)
        if t >= floor
    ]
    for number, (label, found) in enumerate(classes.items()):
        top = number * row + 4
        flag = ' class="alarm"' if found["worse"] else ""
        parts.append(f'<text{flag} x="2" y="{top + 24}">{escape(_short(label))}<title>{escape(label)}</title></text>')
        for place, name in enumerate(names):
            own = found[name]
            y = top + 13 + 15 * place
            if not own["total"]:
                continue
            parts.append(
                f'<g class="v{place}"><title>{escape(name)}: {own["right"]} of {own["total"]} right</title>'
                f'<line class="span" x1="{x(own["low"]):.1f}" x2="{x(own["high"]):.1f}" y1="{y}" y2="{y}"/>'
                f'<circle class="dot" cx="{x(own["estimate"]):.1f}" cy="{y}" r="5"/></g>'
            )
    return _svg(parts, "Accuracy on each class", bottom + 22)


def latency(report: Facts) -> Markup:
    """How the answering times are spread, each variant above the other's axis; times on a logarithmic scale."""
    ends = report["bucket_ends"]
    shown = {name: found for name, found in report["latency"].items() if found["count"]}
    used = [number for found in shown.values() for number, n in enumerate(found["histogram"]) if n]
    first, last = max(0, min(used) - 2), min(len(ends) - 1, max(used) + 2)
    x = _linear(first, last + 1, _LEFT, _WIDTH - _RIGHT)
    height = 74.0
    bottom = height * len(shown) + 8
    parts = []
    for decade in range(-3, 3):
        for step in (1, 2, 5):
            place = 20 * (math.log10(step) + decade + 3)
            if first <= place <= last + 1 and (step == 1 or last - first < 50):
                seconds = step * 10.0**decade
                parts.append(
                    f'<line class="grid" x1="{x(place):.1f}" x2="{x(place):.1f}" y1="8" y2="{bottom}"/>'
                    f'<text x="{x(place):.1f}" y="{bottom + 15}" text-anchor="middle">{_time(seconds)}</text>'
                )
    for row, (name, found) in enumerate(shown.items()):
        base = height * (row + 1) + 8
        most = max(found["histogram"])
        width = x(1) - x(0)
        bars = "".join(
            f'<rect x="{x(number):.1f}" y="{base - 46 * n / most:.1f}" width="{max(width - 0.6, 0.8):.2f}" '
            f'height="{46 * n / most:.1f}"><title>up to {_time(float(f"{ends[number]:.2g}"))}: {n:,}</title></rect>'
            for number, n in enumerate(found["histogram"])
            if n
        )
        css = variant_class(report, name)
        marks = ""
        places = {q: x(20 * math.log10(found[q] / 0.001)) for q in ("p50", "p95")}
        for q, place in places.items():
            # Side by side where they are close.
            left = q == "p50" and places["p95"] - place < 34
            marks += (
                f'<line class="mark" x1="{place:.1f}" x2="{place:.1f}" y1="{base - 60:.1f}" y2="{base:.1f}"/>'
                f'<text class="small" x="{place + (-2 if left else 2):.1f}" y="{base - 52:.1f}"'
                f' text-anchor="{"end" if left else "start"}">{q[1:]} %</text>'
            )
        parts.append(
            f'<g class="{css}"><text class="name" x="2" y="{base - 4}">{escape(name)}</text>'
            f'<g class="bars">{bars}</g>{marks}'
            f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/></g>'
        )
    return _svg(parts, "Answering times", bottom + 22)


def split_bar(report: Facts, epoch: Facts) -> Markup:
    """Traffic of one epoch: below what was wanted, above what was seen."""
    total = sum(epoch["seen"].values())
    parts = []
    for y, height, shares in (
        (2, 18, {name: n / total for name, n in epoch["seen"].items()} if total else {}),
        (22, 6, {name: share / 100 for name, share in epoch["wanted"].items()}),
    ):
        at = 0.0
        for name in sorted({*epoch["wanted"], *epoch["seen"]}, key=lambda name: variant_class(report, name)):
            width = _WIDTH * shares.get(name, 0)
            if not width:
                continue
            parts.append(
                f'<g class="{variant_class(report, name)}"><title>{escape(name)} {percent(shares[name])}</title>'
                f'<rect class="bar" x="{at:.1f}" y="{y}" width="{width:.1f}" height="{height}"/></g>'
            )
            if height > 10 and width > 90:
                parts.append(
                    f'<text class="in" x="{at + 6:.1f}" y="{y + 13}">{escape(name)} {percent(shares[name])}</text>'
                )
            at += width
    seen = ", ".join(f"{name} {n}" for name, n in epoch["seen"].items()) or "nothing yet"
    return _svg(parts, f"Epoch {epoch['epoch']}: {seen}", 30)


def variant_class(report: Facts, name: str) -> str:
    """The style of a variant: the control's, the candidate's, or a third's."""
    plan = report["experiment"]
    return {plan["control"]: "v0", plan["candidate"]: "v1"}.get(name, "v2")


def _svg(parts: Sequence[str], title: str, height: float = _HEIGHT) -> Markup:
    body = "".join(parts)
    return Markup(  # noqa: S704  (numbers, and names that were escaped)
        f'<svg viewBox="0 0 {_WIDTH:g} {height:g}" role="img" aria-label="{escape(title)}">{body}</svg>'
    )


def _linear(low: float, high: float, start: float, end: float) -> _Place:
    return lambda value: start + (value - low) / (high - low) * (end - start)


@dataclass(frozen=True)
class _Band:
    """An estimate and its confidence sequence over the curve; where that spans everything, nothing is known yet."""

    of: Facts
    least: float
    most: float

    def knows(self, at: int) -> bool:
        return bool(self.of["low"][at] > self.least or self.of["high"][at] < self.most)

    def known(self, name: str) -> list[float]:
        return [value for at, value in enumerate(self.of[name]) if self.knows(at)] or [self.most]


class _Frame:
    """The plane of a curve; what lies outside is drawn at the edge."""

    def __init__(self, curve: Facts, by: By, low: float, high: float) -> None:
        self.curve, self.by, self.low, self.high = curve, by, low, high
        self.along: list[float] = curve["labels" if by == "labels" else "ts"]
        start = 0.0 if by == "labels" else self.along[0]
        self.start, self.end = start, max(self.along[-1], start + 1)
        self.x = _linear(self.start, self.end, _LEFT, _WIDTH - _RIGHT)
        self._y = _linear(low, high, _HEIGHT - _BOTTOM, _TOP)

    def y(self, value: float) -> float:
        return self._y(min(max(value, self.low), self.high))

    def point(self, at: int, value: float) -> str:
        return f"{self.x(self.along[at]):.1f},{self.y(value):.1f}"


def _ticks(low: float, high: float) -> list[float]:
    step = 0.1 if high - low <= 0.6 else 0.2
    return [high - step * number for number in range(int((high - low) / step + 1.001))]


def _grid_y(frame: _Frame, values: Sequence[float], say: _Say) -> str:
    return "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{frame.y(value):.1f}" y2="{frame.y(value):.1f}"/>'
        f'<text x="{_LEFT - 5}" y="{frame.y(value) + 4:.1f}" text-anchor="end">{say(value)}</text>'
        for value in values
    )


def _grid_x(frame: _Frame) -> str:
    if frame.by == "time":
        return _dates(frame)
    last = frame.end
    decade = 10 ** math.floor(math.log10(last))
    step = next(s for s in (decade / 5, decade / 2, decade, 2 * decade) if s >= 1 and last / s <= 5)
    return "".join(_tick(frame.x(number * step), f"{number * step:,.0f}") for number in range(int(last / step) + 1))


def _dates(frame: _Frame) -> str:
    span = frame.end - frame.start
    form = "%H:%M:%S" if span < 600 else "%H:%M" if span < 86400 else "%d %b"
    moments = [frame.start + share * span for share in (0.08, 0.36, 0.64, 0.92)]
    return "".join(_tick(frame.x(ts), f"{datetime.fromtimestamp(ts, UTC):{form}}") for ts in moments)


def _tick(x: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{text}</text>'


def _line(frame: _Frame, band: _Band, css: str) -> str:
    """Drawn from where something is known."""
    known = [at for at in range(len(frame.along)) if band.knows(at)]
    if not known:
        return ""
    found = band.of
    high, low = ([frame.point(at, found[end][at]) for at in known] for end in ("high", "low"))
    middle = [frame.point(at, found["estimate"][at]) for at in known]
    x, y = middle[-1].split(",")
    return (
        f'<g class="{css}"><polygon class="band" points="{" ".join(high + low[::-1])}"/>'
        f'<polyline class="line" points="{" ".join(middle)}"/><circle class="dot" cx="{x}" cy="{y}" r="4"/></g>'
    )


def _hits(frame: _Frame, say: Callable[[int], str]) -> str:
    """What is said of each point when it is pointed at."""
    count = len(frame.along)
    chosen = sorted({round(number * (count - 1) / _MOST_HITS) for number in range(_MOST_HITS + 1)})
    places = [frame.x(frame.along[at]) for at in chosen]
    edges = [_LEFT, *((a + b) / 2 for a, b in pairwise(places)), _WIDTH - _RIGHT]
    parts = []
    for at, x, (start, end) in zip(chosen, places, pairwise(edges), strict=True):
        labels = frame.curve["labels"][at]
        when = f"{datetime.fromtimestamp(frame.curve['ts'][at], UTC):%d %b, %H:%M} UTC"
        text = escape(f"{labels:,} label{'s' if labels > 1 else ''}, {when}: {say(at)}")
        parts.append(
            f'<g class="hit"><rect x="{start:.1f}" y="{_TOP}" width="{max(end - start, 0.5):.1f}" '
            f'height="{_HEIGHT - _TOP - _BOTTOM}"/><line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" '
            f'y2="{_HEIGHT - _BOTTOM}"/><title>{text}</title></g>'
        )
    return "".join(parts)


def _said(name: str, band: _Band, at: int, say: _Say) -> str:
    if not band.knows(at):
        return f"{name}: not known yet"
    low, estimate, high = (say(band.of[part][at]) for part in ("low", "estimate", "high"))
    return f"{name} {estimate} ({low} to {high})"


def _labels_of(found: Facts, names: tuple[str, str]) -> int:
    return sum(int(found[name]["total"]) for name in names)


def _short(label: str) -> str:
    return label if len(label) <= 12 else f"{label[:11]}…"


def _note(y: float, text: str) -> str:
    return f'<text class="small" x="{_LEFT + 4:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _time(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{1000 * seconds:g} ms"
