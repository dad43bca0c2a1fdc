"""The ``abtest`` command, with what concerns the experiment."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import requests
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from experiment.replay import ReplayError, find_photos
from experiment.replay import replay as send_all
from experiment.statistics import Scenario
from experiment.statistics import simulate as run_simulation
from traffic.cli import app

__all__ = ["app"]

_COLOURS = {"better": "green", "equivalent": "green", "keep_going": "yellow", "invalid": "red"}
_STATES: dict[bool | None, str] = {
    True: "[green]ok[/green]",
    False: "[red]wrong[/red]",
    None: "[yellow]unknown[/yellow]",
}


@app.command()
def replay(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A folder of photos, with folders in it.", show_default=False)],
    label_from_folder: Annotated[
        bool, typer.Option("--label-from-folder", help="The folder that a photo lies in names what it shows.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Photos on their way at once.")] = 4,
) -> None:
    """Sends a folder of photos through the running system."""
    try:
        photos = find_photos(folder, label_from_folder)
    except ReplayError as error:
        _fail(str(error))
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Photos", total=len(photos))
        summary = send_all(context.obj, photos, concurrency, lambda: progress.advance(task))
    table = Table("variant", "answered", "labelled", "right")
    for name, answered in sorted(summary.answered.items()):
        labelled, right = summary.labelled[name], summary.right[name]
        table.add_row(name, str(answered), str(labelled), f"{right} ({right / labelled:.1%})" if labelled else "–")
    console.print(table)
    for fault, times in summary.faults.most_common(10):
        console.print(f"{times} × {fault}", style="red", highlight=False, markup=False)
    if summary.faults:
        raise typer.Exit(1)


@app.command()
def report(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="All facts, as JSON.")] = False,
) -> None:
    """Says which model is better, how sure that is, and what to do now."""
    url = f"{context.obj}/experiment.json"
    try:
        answer = requests.get(url, timeout=30)
        facts = answer.json()
    except (requests.RequestException, ValueError):
        _fail(f"Nothing answers at {url}. Is the system running? Give its address by --url or ABTEST_URL.")
    if answer.status_code != requests.codes.ok:
        _fail(facts["detail"])
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    _print(Console(), facts)


@app.command()
def simulate(  # noqa: PLR0913, PLR0917  (one parameter an option)
    control: Annotated[float, typer.Argument(min=0, max=1, help="Accuracy of the control.")],
    candidate: Annotated[float, typer.Argument(min=0, max=1, help="Accuracy of the candidate.")],
    requests_per_day: Annotated[float, typer.Option(min=1, help="Traffic.")] = 1000,
    label_rate: Annotated[float, typer.Option(min=0.0001, max=1, help="Share of requests that get a label.")] = 0.1,
    shadow: Annotated[float, typer.Option(min=0, max=1, help="Share of requests that both variants score.")] = 0.0,
    agreement: Annotated[
        float, typer.Option(min=0, max=1, help="0: their errors are independent; 1: they share what they can.")
    ] = 0.5,
    labels: Annotated[int, typer.Option(min=100, max=100_000, help="Give up after so many labels.")] = 5000,
    runs: Annotated[int, typer.Option(min=20, max=20_000, help="Experiments to simulate.")] = 1000,
) -> None:
    """Says how long it takes until a verdict, and how often that is wrong, before an experiment is begun."""
    scenario = Scenario(
        control,
        candidate,
        agreement=agreement,
        requests_per_day=requests_per_day,
        label_rate=label_rate,
        shadow_share=shadow,
    )
    found = run_simulation(scenario, labels, runs)
    table = Table("verdict", "how often")
    for name, share in (
        ("the candidate is better", found.candidate),
        ("the control is better", found.control),
        ("practically equivalent", found.equivalent),
        (f"none within {labels:,} labels", found.undecided),
    ):
        table.add_row(name, f"{share:.1%}")
    console = Console()
    console.print(table)
    console.print(f"Wrong: {found.wrong:.1%}", highlight=False)
    for what, times in (("labels", found.labels), ("days", found.days)):
        few, middle, many = (f"{time:,.1f}" if what == "days" else f"{time:,.0f}" for time in times)
        console.print(f"Until a verdict: {middle} {what}; 10 % within {few}, 90 % within {many}", highlight=False)


def _print(console: Console, facts: Mapping[str, Any]) -> None:
    verdict, plan = facts["verdict"], facts["experiment"]
    console.print(f"[bold {_COLOURS[verdict['outcome']]}]{verdict['headline']}[/]", highlight=False)
    for reason in verdict["reasons"]:
        console.print(f"{reason}.", highlight=False, markup=False)
    if facts["guardrail"]["latched"]:
        console.print(f"[red]Guardrail: all traffic goes to {plan['control']}.[/red] {facts['guardrail']['reason']}.")
    table = Table("variant", "accuracy", f"at {1 - plan['alpha']:.0%} sure", "right", "predictions", "p50", "p95")
    for name in (plan["candidate"], plan["control"]):
        found = facts["accuracy"][name]
        times = facts["latency"].get(name, {})
        table.add_row(
            name,
            f"{found['estimate']:.1%}" if found["total"] else "–",
            f"{found['low']:.1%} to {found['high']:.1%}",
            f"{found['right']:,} of {found['total']:,}",
            f"{facts['traffic']['assigned'].get(name, 0):,}",
            *(f"{1000 * times[q]:,.0f} ms" if times.get(q) else "–" for q in ("p50", "p95")),
        )
    console.print(table)
    for check in facts["checks"]:
        console.print(f"{_STATES[check['ok']]} {check['name']}: {check['detail']}", highlight=False)
    for weakness in facts["weaknesses"]:
        console.print(f"[yellow]note[/yellow] {weakness}", highlight=False)
    for check in facts["guardrail"]["checks"]:
        console.print(
            f"guardrail {check['name']}: {check['state'].replace('_', ' ')}; {check['sentence']}", highlight=False
        )
    command, why = verdict["next"]["command"], verdict["next"]["why"]
    console.print(f"Next: [bold]{command}[/bold] {why}" if command else f"Next: {why}", highlight=False)


def _fail(message: str) -> NoReturn:
    Console(stderr=True).print(message, style="red", highlight=False, markup=False)
    raise typer.Exit(1)


if __name__ == "__main__":
    app(prog_name="abtest")
