"""Inline SVG: pictures of the report, without a script. Colours come from the style sheet, by class."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

__all__ = ["accuracy_curve", "difference_curve", "forest", "latency", "scale", "split_bar", "variant_class"]

# Narrow, so that a phone need not shrink the lettering.
_WIDTH, _HEIGHT = 380.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 8.0, 10.0, 28.0

Facts = Mapping[str, Any]
_Place = Callable[[float], float]


def accuracy_curve(report: Facts) -> Markup:
    """Both accuracies after each number of labels, with their confidence sequences."""
    plan, curve = report["experiment"], report["curve"]
    names = (plan["control"], plan["candidate"])
    # The first labels' bands span everything; what matters lies where the estimates are.
    middle = len(curve["labels"]) // 2
    lowest = min(min(*curve[name]["estimate"], curve[name]["low"][middle]) for name in names)
    frame = _Frame(curve["labels"], math.floor(10 * max(0.0, lowest - 0.03)) / 10, 1.0)
    parts = [_grid_y(frame, _ticks(frame.low, 1.0), "{:.0%}"), _grid_x(frame)]
    parts += [_band(frame, curve[name], f"v{place}") for place, name in enumerate(names)]
    return _svg(parts, f"Accuracy of {names[0]} and {names[1]} by the number of labels")


def difference_curve(report: Facts) -> Markup:
    """Accuracy of the candidate less that of the control, with 0 and the margin."""
    plan, curve = report["experiment"], report["curve"]
    found, margin = curve["difference"], plan["margin"]
    middle = len(curve["labels"]) // 2
    reach = max(abs(found["low"][middle]), abs(found["high"][middle]), 2 * margin, 0.05)
    reach = min(1.0, math.ceil(20 * reach) / 20)
    frame = _Frame(curve["labels"], -reach, reach)
    y, wide = frame.y, _WIDTH - _RIGHT
    parts = [
        f'<rect class="margin" x="{_LEFT}" y="{y(margin):.1f}" width="{wide - _LEFT}" '
        f'height="{y(-margin) - y(margin):.1f}"/>',
        _grid_y(frame, [-reach, -reach / 2, 0, reach / 2, reach], "{:+.1%}" if reach < 0.2 else "{:+.0%}"),
        _grid_x(frame),
        f'<line class="zero" x1="{_LEFT}" x2="{wide}" y1="{y(0):.1f}" y2="{y(0):.1f}"/>',
        _band(frame, found, "vd"),
        _note(y(reach) + 11, f"{plan['candidate']} ahead"),
        _note(y(-reach) - 5, f"{plan['control']} ahead"),
    ]
    return _svg(parts, "Difference in accuracy by the number of labels")


def scale(report: Facts) -> Markup:
    """Where the difference lies: its confidence sequence on a line, with 0 and the margin."""
    plan, verdict = report["experiment"], report["verdict"]
    reach = min(1.0, max(0.05, 1.15 * max(abs(verdict["low"]), abs(verdict["high"]))))
    x = _linear(-reach, reach, 14, _WIDTH - 14)
    margin = min(plan["margin"], reach)
    y = 34.0
    ends = f'text-anchor="middle" y="{y + 26}"'
    parts = [
        f'<rect class="margin" x="{x(-margin):.1f}" y="{y - 14}" width="{x(margin) - x(-margin):.1f}" height="28"/>',
        f'<line class="axis" x1="{x(-reach)}" x2="{x(reach)}" y1="{y}" y2="{y}"/>',
        f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="{y - 16}" y2="{y + 16}"/>',
        f'<line class="span" x1="{x(verdict["low"]):.1f}" x2="{x(verdict["high"]):.1f}" y1="{y}" y2="{y}"/>',
        f'<circle class="dot" cx="{x(verdict["estimate"]):.1f}" cy="{y}" r="6"/>',
        f'<text {ends} x="{x(0)}">same</text>',
        f'<text y="12" x="{x(-reach)}">{escape(plan["control"])} better</text>',
        f'<text y="12" x="{x(reach)}" text-anchor="end">{escape(plan["candidate"])} better</text>',
    ]
    for end in ("low", "high"):
        place = x(verdict[end])
        if abs(place - x(0)) > 34:
            anchor = "start" if place < 30 else "end" if place > _WIDTH - 30 else "middle"
            parts.append(f'<text y="{y + 26}" x="{place:.1f}" text-anchor="{anchor}">{verdict[end]:+.1%}</text>')
    return _svg(parts, f"The difference lies between {verdict['low']:+.1%} and {verdict['high']:+.1%}", 66)


def forest(report: Facts) -> Markup:
    """Accuracy on each true class, of both, with confidence sequences."""
    plan, classes = report["experiment"], report["classes"]
    names = (plan["control"], plan["candidate"])
    seen = [found[name]["low"] for found in classes.values() for name in names if found[name]["total"]]
    floor = math.floor(4 * min(seen, default=0)) / 4
    x = _linear(floor, 1, 64, _WIDTH - 20)
    row = 46.0
    bottom = row * len(classes) + 6
    parts = [
        f'<line class="grid" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="4" y2="{bottom}"/>'
        f'<text x="{x(t):.1f}" y="{bottom + 15}" text-anchor="middle">{t:.0%}</text>'
        for t in (0, 0.25, 0.5, 0.75, 1)
        if t >= floor
    ]
    for number, (label, found) in enumerate(classes.items()):
        top = number * row + 4
        flag = ' class="alarm"' if found["worse"] else ""
        parts.append(f'<text{flag} x="2" y="{top + 24}">{escape(label)}</text>')
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
            f'<rect x="{x(number):.1f}" y="{base - 52 * n / most:.1f}" width="{max(width - 0.6, 0.8):.2f}" '
            f'height="{52 * n / most:.1f}"/>'
            for number, n in enumerate(found["histogram"])
            if n
        )
        css = variant_class(report, name)
        marks = ""
        for q in ("p50", "p95"):
            place = x(20 * math.log10(found[q] / 0.001))
            marks += (
                f'<line class="mark" x1="{place:.1f}" x2="{place:.1f}" y1="{base - 56:.1f}" y2="{base:.1f}"/>'
                f'<text class="small" x="{place + 2:.1f}" y="{base - 50:.1f}">{q[1:]} %</text>'
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
                f'<g class="{variant_class(report, name)}"><title>{escape(name)} {shares[name]:.1%}</title>'
                f'<rect class="bar" x="{at:.1f}" y="{y}" width="{width:.1f}" height="{height}"/></g>'
            )
            if height > 10 and width > 90:
                parts.append(f'<text class="in" x="{at + 6:.1f}" y="{y + 13}">{escape(name)} {shares[name]:.1%}</text>')
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


class _Frame:
    """The plane of a curve over numbers of labels, from 0 to the last; what lies outside is drawn at the edge."""

    def __init__(self, labels: Sequence[float], low: float, high: float) -> None:
        self.labels, self.low, self.high = labels, low, high
        self.x = _linear(0, labels[-1], _LEFT, _WIDTH - _RIGHT)
        self._y = _linear(low, high, _HEIGHT - _BOTTOM, _TOP)

    def y(self, value: float) -> float:
        return self._y(min(max(value, self.low), self.high))

    def points(self, values: Sequence[float]) -> list[str]:
        return [f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in zip(self.labels, values, strict=True)]


def _ticks(low: float, high: float) -> list[float]:
    step = 0.1 if high - low <= 0.6 else 0.2
    return [high - step * number for number in range(int((high - low) / step + 1.001))]


def _grid_y(frame: _Frame, values: Sequence[float], form: str) -> str:
    return "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{frame.y(value):.1f}" y2="{frame.y(value):.1f}"/>'
        f'<text x="{_LEFT - 5}" y="{frame.y(value) + 4:.1f}" text-anchor="end">{form.format(value + 0.0)}</text>'
        for value in values
    )


def _grid_x(frame: _Frame) -> str:
    last = frame.labels[-1]
    decade = 10 ** math.floor(math.log10(last))
    step = next(s for s in (decade / 5, decade / 2, decade, 2 * decade) if s >= 1 and last / s <= 5)
    return "".join(
        f'<text x="{frame.x(number * step):.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{number * step:,.0f}</text>'
        for number in range(int(last / step) + 1)
    )


def _band(frame: _Frame, found: Facts, css: str) -> str:
    outline = " ".join(frame.points(found["high"]) + frame.points(found["low"])[::-1])
    middle = frame.points(found["estimate"])
    x, y = middle[-1].split(",")
    return (
        f'<g class="{css}"><polygon class="band" points="{outline}"/>'
        f'<polyline class="line" points="{" ".join(middle)}"/><circle class="dot" cx="{x}" cy="{y}" r="4"/></g>'
    )


def _note(y: float, text: str) -> str:
    return f'<text class="small" x="{_LEFT + 4:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _time(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{1000 * seconds:g} ms"
