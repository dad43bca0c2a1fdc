"""What the system says, for people at a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from abtest.replay import Summary
from abtest.typed import in_full, in_lines, prefix
from experiment.statistics import Simulation
from look.numbers import percent

__all__ = ["forgotten", "replayed", "report", "simulated", "status", "table"]

_COLOURS = {"better": "green", "equivalent": "green", "not_worth": "green", "keep_going": "yellow", "invalid": "red"}
_STATES: dict[bool | None, str] = {
    True: "[green]ok[/green]",
    False: "[red]wrong[/red]",
    None: "[yellow]unknown[/yellow]",
}

Facts = Mapping[str, Any]


def table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table; where the window is too narrow for it, each row as a list of its own."""
    listed = [list(row) for row in rows]
    whole = Table(*columns)
    for row in listed:
        whole.add_row(*row)
    if console.measure(whole, options=console.options.update(width=10_000)).maximum <= console.width:
        console.print(whole)
        return
    width = max(map(len, columns))
    for row in listed:
        console.print(f"[bold]{row[0]}[/bold]", highlight=False)
        for column, cell in zip(columns[1:], row[1:], strict=True):
            console.print(f"  {column:<{width}}  {cell}", highlight=False)


def status(console: Console, facts: Facts) -> None:
    health, split, experiment = facts["health"], facts["split"], facts["experiment"]
    entry = split["in_force"]
    since = f", since {datetime.fromtimestamp(entry['ts'], UTC):%Y-%m-%d %H:%M:%S} UTC" if entry["epoch"] else ""
    by = f", by {entry['asked_by']}" if entry["asked_by"] else ""
    console.print(f"Split: [bold]{entry['text']}[/bold] (epoch {entry['epoch']}{since}{by})", highlight=False)
    if entry["reason"] and entry["action"] != "start":
        console.print(f"Reason: {entry['reason']}", highlight=False, markup=False)
    if split["asked"]:
        asked = split["asked"]
        console.print(f"[yellow]Asked for: {asked['text']} (epoch {asked['epoch']})[/yellow]", highlight=False)
    offered = (split["asked"] or entry)["epoch"]
    for gateway in split["gateways"]:
        if gateway["epoch"] != offered:
            console.print(f"[red]{gateway['name']} serves epoch {gateway['epoch']}: look at its log.[/red]")
        if gateway["low"]:
            console.print(f"[red]{gateway['name']} runs out of room for its ledger: make room on its volume.[/red]")
    if not split["gateways"]:
        console.print("[red]No gateway follows the record. Is nginx running?[/red]")
    if problem := split.get("list_problem"):
        console.print(f"The variants stay as they were: {problem}", style="red", markup=False)
    rows = []
    seen: dict[str, int] = experiment["traffic"]["assigned_in_epoch"]
    total = sum(seen.values())
    for name in split["variants"]:
        variant = health["variants"].get(name, {"ready": False, "detail": "nginx does not know it"})
        state = "[green]yes[/green]" if variant["ready"] else f"[red]no: {variant.get('detail')}[/red]"
        if name in experiment["hung"]:
            state = "[red]no: it hangs; the others answer for it[/red]"
        count = seen.get(name, 0)
        weights = variant.get("weights")
        rows.append(
            (
                name,
                state,
                f"{entry['split']['shares'].get(name, 0):g} %",
                f"{percent(count / total)} ({count:,})" if total else "–",
                f"{weights['file']} {weights['sha256'][:12]}" if weights else "–",
            )
        )
    table(console, ("variant", "ready", "wanted", "seen", "weights"), rows)
    if experiment["guardrail"]["latched"]:
        console.print(f"[red]Guardrail: {experiment['guardrail']['reason']}[/red]", highlight=False)


def report(console: Console, facts: Facts, url: str = "") -> None:
    """``url`` is where the command was told that the system is."""
    verdict, plan = facts["verdict"], facts["experiment"]
    console.print(f"[bold {_COLOURS[verdict['outcome']]}]{verdict['headline']}[/]", highlight=False)
    if verdict["price"]:
        console.print(f"{verdict['price']}.", highlight=False, markup=False)
    for sentence in (*(f"{reason}." for reason in verdict["reasons"]), verdict["counted"]):
        said = in_lines(sentence, console.width, prefix(), url)
        console.print(said, highlight=False, markup=False, soft_wrap=True)
    if facts["guardrail"]["latched"]:
        console.print(f"[red]Guardrail: all traffic goes to {plan['control']}.[/red] {facts['guardrail']['reason']}.")
    rows = []
    for name in (plan["candidate"], plan["control"]):
        found = facts["accuracy"][name]
        times = facts["latency"].get(name, {})
        rows.append(
            (
                name,
                percent(found["estimate"]) if found["total"] and found["estimate"] is not None else "–",
                f"{percent(found['low']).removesuffix(' %')} to {percent(found['high'])}",
                f"{found['right']:,} of {found['total']:,}" if found["right"] is not None else f"of {found['total']:,}",
                f"{facts['traffic']['assigned'].get(name, 0):,}",
                *(f"{1000 * times[q]:,.0f} ms" if times.get(q) else "–" for q in ("p50", "p95")),
            )
        )
    sure = f"at {percent(1 - plan['alpha'])} sure"
    table(console, ("variant", "accuracy", sure, "right", "answers", "p50", "p95"), rows)
    for check in facts["checks"]:
        console.print(f"{_STATES[check['ok']]} {check['name']}: {check['detail']}", highlight=False)
    for weakness in facts["weaknesses"]:
        console.print(f"[yellow]note[/yellow] {weakness}", highlight=False)
    for check in facts["guardrail"]["checks"]:
        console.print(
            f"guardrail {check['name']}: {check['state'].replace('_', ' ')}; {check['sentence']}", highlight=False
        )
    command, page, why = (verdict["next"][name] for name in ("command", "page", "why"))
    if not command:
        where = f" At {page} in a browser." if page else ""
        console.print(f"Next: {why}{where}", highlight=False)
        return
    # In one piece, to be copied, however narrow the window.
    console.print(f"Next: [bold]{in_full(command, prefix(), url)}[/bold]", highlight=False, soft_wrap=True)
    console.print(f"      {why}", highlight=False)


def replayed(console: Console, summary: Summary) -> None:
    def right(of: Mapping[str, int], all_of: Mapping[str, int], name: str) -> str:
        return f"{of.get(name, 0):,} of {all_of[name]:,} ({percent(of.get(name, 0) / all_of[name])})"

    names = sorted({*summary.answered, *summary.shadowed})
    table(
        console,
        ("variant", "answered", "right", "right as shadow"),
        [
            (
                name,
                f"{summary.answered[name]:,}",
                right(summary.right, summary.labelled, name) if summary.labelled[name] else "–",
                right(summary.shadow_right, summary.shadowed, name) if summary.shadowed[name] else "–",
            )
            for name in names
        ],
    )
    if labelled := summary.labelled.total():
        repeated = summary.repeated.total()
        new = labelled - repeated
        said = f"{new:,} new {'label' if new == 1 else 'labels'}"
        if repeated:
            said += f"; {repeated:,} of the labels do not count: their photos have one already"
        console.print(f"{said}.", highlight=False)
    if unscored := summary.unscored.total():
        console.print(f"{unscored:,} photos were not scored by a second variant in time.", highlight=False)
    for sentence in summary.meanwhile:
        console.print(f"Meanwhile: {sentence}", style="yellow", highlight=False, markup=False)
    for fault, times in summary.faults.most_common(10):
        console.print(f"{times} × {fault}", style="red", highlight=False, markup=False)


def simulated(console: Console, found: Simulation, most: int) -> None:
    shares = (
        ("the candidate is better", found.candidate),
        ("the control is better", found.control),
        ("practically equivalent", found.equivalent),
        (f"none within {most:,} labels", found.undecided),
    )
    table(console, ("verdict", "how often"), [(name, percent(share)) for name, share in shares])
    console.print(f"Wrong: {percent(found.wrong)}", highlight=False)
    for sentence in found.sentences:
        console.print(f"{sentence}.", highlight=False)


def forgotten(console: Console, erased: Facts, url: str = "") -> None:
    """``url`` is where the command was told that the system is."""
    counted = {"request": erased["requests"], "label": erased["labels"], "photo": erased["photos"]}
    text = ", ".join(f"{n:,} {what}{'' if n == 1 else 's'}" for what, n in counted.items())
    console.print(f"Forgotten: {text}. {erased['stays']}", highlight=False)
    if erased["person"]:
        again = in_full(f"abtest forget --person {erased['person']}", prefix(), url)
        said = f"All that the same person sent is forgotten by: [bold]{again}[/bold]"
        console.print(said, highlight=False, soft_wrap=True)
