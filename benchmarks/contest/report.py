"""What ``make bench`` found, in words: tables in Markdown, and the targets with what was reached."""

from collections.abc import Iterator
from typing import Any

from benchmarks.contest.comparison import NGINX, OURS

__all__ = ["targets", "text"]

Results = dict[str, Any]


def text(results: Results) -> str:
    """The whole report."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Results) -> Iterator[str]:
    machine = results["machine"]
    yield (
        f"Taken {results['taken']} in {results['took_minutes']:.0f} minutes, {results['rounds']} rounds of "
        f"{results['seconds']:g} s, on {machine['cores']} cores of “{machine['processor']}” "
        f"({', '.join(machine['flags'])}), {machine['memory_gb']:g} GB, {machine['system']}, "
        f"Python {machine['python']}."
    )
    weights = "; ".join(f"{name}: {file}" for name, file in results["weights"].items())
    yield f"Weights: {weights}. Versions: {', '.join(f'{n} {v}' for n, v in results['versions'].items())}."
    for peer, reason in results["failed"].items():
        yield f"\n**{peer} took no part**: {reason}"
    for model in dict.fromkeys(cell["model"] for cell in results["load"]):
        yield ""
        yield from _throughput([cell for cell in results["load"] if cell["model"] == model])
    yield ""
    yield from _latency([cell for cell in results["load"] if cell["connections"] != 1])
    yield ""
    yield from _settings(results["settings"])
    yield ""
    yield from _rest(results)
    yield ""
    yield "| target | at least | reached | |"
    yield "| --- | --- | --- | --- |"
    for name, wanted, reached, met in targets(results):
        yield f"| {name} | {wanted} | {reached} | {'✓' if met else 'not reached'} |"


def _throughput(cells: list[Results]) -> Iterator[str]:
    names = list(dict.fromkeys(name for cell in cells for name in cell["systems"]))
    yield f"**{cells[0]['model']}**, answers per second (medians), and how many times as many as the round's best peer"
    yield ""
    yield f"| photo | connections | {' | '.join(names)} | ratio (least to greatest round) |"
    yield "| --- | --- |" + " --- |" * (len(names) + 1)
    for cell in cells:
        rates = [_rate(cell["systems"][name]["per_s"]["median"]) if name in cell["systems"] else "–" for name in names]
        yield f"| {cell['photo']} | {cell['connections']} | {' | '.join(rates)} | {_times(cell.get('ratio'))} |"


def _latency(cells: list[Results]) -> Iterator[str]:
    yield "Latency, ms: p50 / p99 of the answers; refusals are 503 with `Retry-After`, errors anything else but 200"
    yield ""
    names = list(dict.fromkeys(name for cell in cells for name in cell["systems"]))
    yield f"| model | photo | connections | {' | '.join(names)} |"
    yield "| --- | --- | --- |" + " --- |" * len(names)
    for cell in cells:
        seen = [_seen(cell["systems"].get(name)) for name in names]
        yield f"| {cell['model']} | {cell['photo']} | {cell['connections']} | {' | '.join(seen)} |"


def _seen(system: Results | None) -> str:
    if system is None:
        return "–"
    p50, p99 = system["p50_ms"], system["p99_ms"]
    said = "too few" if p50 is None else f"{p50:.0f} / {p99:.0f}"
    if system["rejected"]:
        said += f", {system['rejected']} refused"
    if system["errors"]:
        said += ", **errors: " + ", ".join(f"{n} × {what}" for what, n in system["errors"].items()) + "**"
    return said


def _settings(settings: Results) -> Iterator[str]:
    yield "The peers' settings: what was tried (answers per second, 100 KB photo, 8 connections), the best in bold"
    yield ""
    yield "| model | peer | processes × PyTorch threads, photos at once |"
    yield "| --- | --- | --- |"
    for model, peers in settings.items():
        for peer, tried in peers.items():
            best = max(tried, key=lambda one: float(one["per_s"]))
            said = [f"{one['workers']} × {one['threads']}, {one['batch']}: {_rate(one['per_s'])}" for one in tried]
            marked = [f"**{words}**" if one is best else words for one, words in zip(tried, said, strict=True)]
            yield f"| {model} | {peer} | {'; '.join(marked)} |"


def _rest(results: Results) -> Iterator[str]:
    yield "| measured by itself | |"
    yield "| --- | --- |"
    for cell in results["load"]:
        if "ceiling_per_s" in cell:
            yield (
                f"| the engine alone, {cell['model']}, {cell['photo']}, photos decoded too (predecoded) | "
                f"{_rate(cell['ceiling_per_s']['median'])} ({_rate(cell['predecoded_per_s'])}) a second; "
                f"`/predict` reaches {100 * cell['share_of_ceiling']['median']:.0f} % at {cell['connections']} "
                "connections |"
            )
    for model, counts in results["cores"].items():
        said = ", ".join(f"{cores}: {_rate(rate['median'])}" for cores, rate in counts.items())
        yield f"| {model}, 22 KB, answers per second by cores given, client included | {said} |"
    for what, cost in results["nginx_cost"].items():
        low, high = cost["middle_half_ms"]
        yield (
            f"| nginx's cost per request, {what} | {cost['added_ms']:.2f} ms (middle half {low:.2f} to {high:.2f}) on "
            f"{cost['direct_ms']:.1f} ms |"
        )
    for service, start in results["start"].items():
        first = f"; {start['first_s']:.1f} s the first time" if "first_s" in start else ""
        yield f"| start to first answer, {service} | {start['next_s']['median']:.1f} s{first} |"
    for what, used in results["memory"].items():
        yield (
            f"| memory, {what}, PSS (RSS) at rest; under load | {used['rest_pss_mb']} ({used['rest_rss_mb']}); "
            f"{used['load_pss_mb']} ({used['load_rss_mb']}) MB |"
        )


def targets(results: Results) -> Iterator[tuple[str, str, str, bool]]:
    """Each target, what it asks, what was reached, and whether that is enough."""
    cells = {(cell["model"], cell["photo"], cell["connections"]): cell for cell in results["load"]}
    for model, photo, wanted in (
        ("vgg16", "22 KB", 5),
        ("vgg16", "100 KB", 5),
        ("vgg16", "12 Mpx", 5),
        ("custom", "22 KB", 2),
        ("custom", "100 KB", 3),
        ("custom", "12 Mpx", 8),
    ):
        ratio = cells[model, photo, 8].get("ratio")
        met = bool(ratio) and ratio["median"] >= wanted
        yield f"{model}, {photo}, 8 connections, against the best peer", f"{wanted} ×", _times(ratio), met
    vgg16 = cells["vgg16", "22 KB", 8]
    share = vgg16["share_of_ceiling"]["median"]
    yield "share of the engine's throughput, vgg16, 22 KB", "90 %", f"{100 * share:.0f} %", share >= 0.9
    tails = [
        (cell["systems"][name]["p99_over_p50"] or 0, f"{cell['model']}, {cell['photo']}, {name}")
        for cell in results["load"]
        for name in (OURS, NGINX)
        if cell["connections"] == 8
    ]
    worst, where = max(tails)
    yield "p99 ÷ p50 at 8 connections, the worst", "≤ 2", f"{worst:.2f} ({where})", worst <= 2
    errors = sum(
        sum(cell["systems"][name]["errors"].values())
        for cell in results["load"]
        for name in (OURS, NGINX)
        if cell["connections"] == 32
    )
    yield "errors at 32 connections but honest 503s", "0", str(errors), errors == 0
    cost = max(cost["added_ms"] for cost in results["nginx_cost"].values() if cost["photo"] == "22 KB")
    yield "nginx's cost per request, 22 KB", "≤ 0.5 ms", f"{cost:.2f} ms", cost <= 0.5
    ours, theirs = (
        next((used for what, used in results["memory"].items() if what.startswith(start)), None)
        for start in ("app_vgg16", "FastAPI, the full model")
    )
    if ours and theirs:
        part = ours["load_pss_mb"] / theirs["load_pss_mb"]
        yield "memory under load, against FastAPI with the full model", "≤ 1/2", f"{part:.2f}", part <= 0.5
    ready = results["start"]["app_vgg16"]["next_s"]["median"]
    yield "start to ready, app_vgg16", "≤ 5 s", f"{ready:.1f} s", ready <= 5


def _rate(value: float) -> str:
    return f"{value:.1f}" if value < 20 else f"{value:.0f}"


def _times(ratio: Results | None) -> str:
    return f"{ratio['median']:.1f} × ({ratio['low']:.1f} to {ratio['high']:.1f})" if ratio else "–"
