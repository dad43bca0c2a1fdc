"""The ``abtest`` command: a client of a running system."""

import json
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from math import isinf
from pathlib import Path
from random import Random
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from abtest import lifecycle, show
from abtest.aftermath import add_aftermath, look_before
from abtest.client import System, default_url, token_beside
from abtest.explained import explained
from abtest.replay import find_photos
from abtest.replay import replay as send_all
from experiment.statistics import Scenario
from experiment.statistics import simulate as run_simulation
from variants import NAMES, VARIANTS

__all__ = ["app"]

_INVALID = 3
# An example of shares, for sentences.
_SHARES = f"{NAMES[0]}=90 {NAMES[1]}=10" if len(NAMES) > 1 else f"{NAMES[0]}=100"


class Role(StrEnum):
    """Whom tokens are made for."""

    LABELLER = "labeller"
    OPERATOR = "operator"


app = typer.Typer(
    help="A/B testing of deployed image classifiers.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done; 1 refused, with the reason; 2 wrong usage; 3 the comparison is invalid (report).",
)


def _variants(incomplete: str) -> list[str]:
    """What the shell may complete the name of a variant to."""
    return [variant.name for variant in VARIANTS if variant.name.startswith(incomplete)]


def _wanted_shares(incomplete: str) -> list[str]:
    words = ["round-robin", *(f"{variant.name}=" for variant in VARIANTS)]
    return [word for word in words if word.startswith(incomplete)]


_Json = Annotated[bool, typer.Option("--json", help="All facts, as JSON.")]


def _version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(version("model-ab"))
        except PackageNotFoundError:  # run from its folder, without being installed
            typer.echo("unknown")
        raise typer.Exit


@app.callback()
def find(
    context: typer.Context,
    url: Annotated[str, typer.Option(envvar="ABTEST_URL", help="Where the system answers.")] = "",
    token: Annotated[str, typer.Option(envvar="ABTEST_TOKEN", help="What changes from elsewhere need.")] = "",
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Says the version.")] = False,
) -> None:
    """A/B testing of deployed image classifiers."""
    source = context.get_parameter_source("url")
    if source and source.name == "COMMANDLINE":
        context.meta["url"] = url
    url = url or default_url()
    context.obj = System(url, token or token_beside(url))


@app.command()
def status(context: typer.Context, as_json: _Json = False) -> None:
    """Shows the variants, their health, and the split: the share wanted and the share seen."""
    system: System = context.obj
    with explained():
        facts = {"health": system.health(), "split": system.split(), "experiment": system.get("/experiment.json")}
    if as_json:
        _echo(facts)
    else:
        show.status(Console(), facts)


@app.command()
def split(
    context: typer.Context,
    shares: Annotated[
        list[str] | None,
        typer.Argument(help=f"round-robin, or shares such as {_SHARES}", autocompletion=_wanted_shares),
    ] = None,
    pair: Annotated[bool, typer.Option("--pair", help="Both score every photo, either is shown: to measure.")] = False,
    sticky: Annotated[bool, typer.Option("--sticky", help="The same user always gets the same variant.")] = False,
    shadow: Annotated[
        str, typer.Option(help="A variant that also scores what others answer.", autocompletion=_variants)
    ] = "",
    sample: Annotated[float, typer.Option(help="The percentage of predictions that a second variant scores.")] = 100,
    random: Annotated[bool, typer.Option("--random", help="By chance, not strictly in turn.")] = False,
    as_json: _Json = False,
) -> None:
    """Changes the split of the running system; no request is dropped. A shadow alone leaves the shares as they are."""
    wanted: dict[str, Any] = {"sample": sample, "random": random}
    if shadow:
        wanted["shadow"] = {"variant": shadow, "sample": sample}
    if pair:
        if shares or sticky or shadow:
            raise typer.BadParameter("A pair takes its variants from experiment.toml: give --pair without shares.")
        wanted["rule"] = "pair"
    elif not shares:
        if not shadow and not sticky and not random:
            raise typer.BadParameter(f"Say which split: round-robin, --pair, or shares such as {_SHARES}.")
        with explained():
            before = context.obj.split()["in_force"]["split"]
        rule = "sticky" if sticky else before["rule"] if before["rule"] != "pair" else "round_robin"
        wanted |= {"rule": rule, "shares": before["shares"] if rule != "round_robin" else {}}
    elif shares == ["round-robin"]:
        if sticky:
            raise typer.BadParameter(f"Sticky needs shares, such as {_SHARES} --sticky.")
        wanted["rule"] = "round_robin"
    else:
        wanted |= {"rule": "sticky" if sticky else "weighted", "shares": _shares(shares)}
    _change(context, "split", as_json, **wanted)


@app.command()
def promote(
    context: typer.Context,
    variant: Annotated[str, typer.Argument(help="The variant that gets all traffic.", autocompletion=_variants)],
    as_json: _Json = False,
) -> None:
    """Sends all traffic to one variant."""
    _change(context, "promote", as_json, variant=variant)


@app.command()
def rollback(context: typer.Context, as_json: _Json = False) -> None:
    """Brings back the split before this one."""
    _change(context, "rollback", as_json)


@app.command()
def token(
    context: typer.Context,
    role: Annotated[Role, typer.Argument(help="Who it is for: labeller or operator.")],
    as_json: _Json = False,
) -> None:
    """Makes a new token for a role and says it, this once; the one before is nobody's from then on."""
    with explained():
        made = context.obj.post("/experiment/token", {"role": role.value})
    if as_json:
        _echo(made)
    else:
        Console(stderr=True).print(
            f"The token of the {role.value}, said this once; the one before ends:", highlight=False
        )
        typer.echo(made["token"])


@app.command()
def forget(
    context: typer.Context,
    request_id: Annotated[str, typer.Argument(help="The X-Request-ID of an answer.", show_default=False)] = "",
    person: Annotated[str, typer.Option(help="All requests of a person, by the ten digits in the ledger.")] = "",
    as_json: _Json = False,
) -> None:
    """Deletes a request, its label and its photo, or all of a person's; says what stays."""
    if bool(request_id) == bool(person):
        raise typer.BadParameter("Give the id of a request, or --person with ten digits.")
    wanted = {"person": person} if person else {"request_id": request_id}
    with explained():
        erased = context.obj.post("/experiment/forget", wanted)
    if as_json:
        _echo(erased)
    else:
        show.forgotten(Console(), erased, context.meta.get("url", ""))


@app.command()
def report(context: typer.Context, as_json: _Json = False) -> None:
    """Says which model is better, how sure that is, and what to do now. Exit status 3: the comparison is invalid."""
    with explained():
        facts = context.obj.get("/experiment.json")
    if as_json:
        _echo(facts)
    else:
        show.report(Console(), facts, context.meta.get("url", ""))
    if facts["verdict"]["outcome"] == "invalid":
        raise typer.Exit(_INVALID)


@app.command()
def replay(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A folder of photos, with folders in it.", show_default=False)],
    label_from_folder: Annotated[
        bool, typer.Option("--label-from-folder", help="The folder that a photo lies in names what it shows.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Photos on their way at once.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the order in which photos are sent, which is random.")] = 0,
    as_json: _Json = False,
) -> None:
    """Sends a folder of photos through the running system."""
    system: System = context.obj
    with explained():
        labels = system.get("/experiment.json")["labels"]["classes"] if label_from_folder else None
        photos = find_photos(folder, labels)
        shadow = system.split()["in_force"]["split"]["shadow"] if label_from_folder else None
    scores = 2 if shadow and shadow["sample"] == 100 else 1
    # In the folders' order one class would come after the other.
    Random(seed).shuffle(photos)  # noqa: S311  (no secret)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    before = look_before(system)
    with Progress(*columns, console=Console(stderr=as_json)) as progress:
        task = progress.add_task("Photos", total=len(photos))
        summary = send_all(system.url, photos, concurrency, lambda: progress.advance(task), system.token, scores)
    if before:
        add_aftermath(system, before, summary)
    if as_json:
        _echo(vars(summary))
    else:
        show.replayed(Console(), summary)
    if summary.faults:
        raise typer.Exit(1)


@app.command()
def simulate(
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
    as_json: _Json = False,
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
    if as_json:
        _echo(vars(found))
    else:
        show.simulated(Console(), found, labels)


for command in (lifecycle.new, lifecycle.variants, lifecycle.redeploy):
    app.command()(command)


def _change(context: typer.Context, action: str, as_json: bool, **wanted: Any) -> None:
    with explained():
        entry = context.obj.change(action, **wanted)
    if as_json:
        _echo(entry)
    else:
        Console().print(f"In force: [bold]{entry['text']}[/bold] (epoch {entry['epoch']})", highlight=False)


def _shares(arguments: list[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for argument in arguments:
        name, equals, number = argument.partition("=")
        try:
            share = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise typer.BadParameter(f"{argument!r} is no share: write {_SHARES}, or round-robin alone.")
        if name in shares:
            raise typer.BadParameter(f"{name} is named twice.")
        shares[name] = share
    return shares


def _echo(facts: Any) -> None:
    typer.echo(json.dumps(_finite(facts), indent=2, ensure_ascii=False))


def _finite(facts: Any) -> Any:
    """JSON knows no infinity: what never comes is null."""
    if isinstance(facts, dict):
        return {name: _finite(value) for name, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [_finite(value) for value in facts]
    return None if isinstance(facts, float) and isinf(facts) else facts


if __name__ == "__main__":
    app(prog_name="abtest")
