"""The ``abtest`` command: who gets what, and changes to it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import requests
import typer
from rich.console import Console
from rich.table import Table

from variants import VARIANTS

from .split import Rule, Shadow, Split, SplitError, make_split
from .state import State

__all__ = ["app"]

app = typer.Typer(help="A/B testing of deployed image classifiers.", no_args_is_help=True, add_completion=False)

_NAMES = [variant.name for variant in VARIANTS]
_EXAMPLE = f"{_NAMES[0]}=90 {_NAMES[-1]}=10"


@app.callback()
def find(
    context: typer.Context,
    url: Annotated[str, typer.Option(envvar="ABTEST_URL", help="Where the system answers.")] = "http://localhost",
) -> None:
    """A/B testing of deployed image classifiers."""
    context.obj = url.rstrip("/")


@app.command()
def status(context: typer.Context) -> None:
    """Shows the variants, their health, and the split: the share wanted and the share seen."""
    health = _get(f"{context.obj}/healthz")
    if health is None:
        _fail(f"Nothing answers at {context.obj}. Is the system running? Give its address by --url or ABTEST_URL.")
    report = _get(f"{context.obj}/experiment.json") or {}
    state = State(_state_folder())
    split = state.current()
    changes = state.history()
    console = Console()
    since = f", since {datetime.fromisoformat(changes[-1].ts):%Y-%m-%d %H:%M:%S} UTC" if changes else ""
    why = f" by {changes[-1].action}" if changes and changes[-1].action != "split" else ""
    console.print(f"Split: [bold]{split}[/bold] (epoch {split.epoch}{since}{why})", highlight=False)
    if changes and changes[-1].reason:
        console.print(f"Reason: {changes[-1].reason}", highlight=False)
    if health["epoch"] != split.epoch:
        console.print(f"[red]nginx serves epoch {health['epoch']} instead: look at its log.[/red]")
    table = Table("variant", "ready", "wanted", "seen", "weights")
    seen: dict[str, int] = report.get("traffic", {}).get("assigned_in_epoch", {})
    total = sum(seen.values())
    for name in _NAMES:
        variant = health["variants"].get(name, {"ready": False, "detail": "nginx does not know it"})
        count = seen.get(name, 0)
        weights = variant.get("weights")
        table.add_row(
            name,
            "[green]yes[/green]" if variant["ready"] else f"[red]no: {variant.get('detail')}[/red]",
            f"{split.shares.get(name, 0):g} %",
            f"{100 * count / total:.1f} % ({count})" if total else "–",
            f"{weights['file']} {weights['sha256'][:12]}" if weights else "–",
        )
    console.print(table)
    if report.get("guardrail", {}).get("latched"):
        console.print(f"[red]Guardrail: {report['guardrail']['reason']}[/red]", highlight=False)


@app.command()
def split(
    shares: Annotated[list[str] | None, typer.Argument(help=f"round-robin, or shares in percent: {_EXAMPLE}")] = None,
    sticky: Annotated[bool, typer.Option("--sticky", help="The same user always gets the same variant.")] = False,
    shadow: Annotated[str | None, typer.Option(help="A variant that also scores what others answer.")] = None,
    sample: Annotated[float, typer.Option(help="The percentage of predictions it scores.")] = 100,
) -> None:
    """Changes the split of the running system; no request is dropped. A shadow alone leaves the shares as they are."""
    state = State(_state_folder())
    with _explained():
        before = state.current()
        parsed = _shares(shares or [])
        rule: Rule
        if not shares and shadow is None and not sticky:
            raise SplitError("Say which split: round-robin, or shares such as " + _EXAMPLE + ".")
        if not shares:
            parsed = dict(before.shares)
            rule = "sticky" if sticky else before.rule
        elif shares == ["round-robin"]:
            if sticky:
                raise SplitError(f"Sticky needs shares, such as {_EXAMPLE} --sticky.")
            rule = "round_robin"
        else:
            rule = "sticky" if sticky else "weighted"
        wanted = make_split(rule, parsed, _NAMES, Shadow(shadow, sample) if shadow else None, before)
        _say(state.change(wanted, "split"))


@app.command()
def promote(variant: Annotated[str, typer.Argument(help="The variant that gets all traffic.")]) -> None:
    """Sends all traffic to one variant."""
    state = State(_state_folder())
    with _explained():
        _say(state.change(make_split("weighted", {variant: 100}, _NAMES, before=state.current()), "promote"))


@app.command()
def rollback() -> None:
    """Brings back the split before this one."""
    with _explained():
        _say(State(_state_folder()).roll_back())


def _state_folder() -> Path:
    return Path(os.environ.get("STATE_DIR", Path(__file__).parents[1] / ".run" / "state"))


def _shares(arguments: list[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for argument in arguments:
        if argument == "round-robin" and len(arguments) == 1:
            return {}
        name, equals, number = argument.partition("=")
        try:
            share = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise SplitError(f"{argument!r} is no share: write {_EXAMPLE}, or round-robin alone.")
        if name in shares:
            raise SplitError(f"{name} is named twice.")
        shares[name] = share
    return shares


def _say(split: Split) -> None:
    Console().print(f"In force: [bold]{split}[/bold] (epoch {split.epoch})", highlight=False)


def _get(url: str) -> Any:
    """The JSON at ``url``; ``None`` where there is none."""
    try:
        return requests.get(url, timeout=10).json()
    except (requests.RequestException, ValueError):
        return None


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except SplitError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"The split cannot be changed from here: {error.strerror}: {error.filename}")


def _fail(message: str) -> NoReturn:
    Console(stderr=True).print(message, style="red", highlight=False, markup=False)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
