"""Commands by which variants come, are seen, and are started anew."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from abtest.client import System
from abtest.explained import explained
from abtest.newcomers import NewcomerError, list_variant, make_folder, service_of
from abtest.redeploy import RedeployError
from abtest.redeploy import redeploy as have_started_anew
from abtest.show import table
from abtest.typed import in_full, prefix
from variants import PATH, read_listing

__all__ = ["new", "redeploy", "variants"]

_ROOT = PATH.parents[1]
_RUN = _ROOT / ".run"
_COMPOSE = "docker-compose up --build --detach --no-deps"


def new(
    name: Annotated[str, typer.Argument(help="What it is called.", show_default=False)],
    model: Annotated[
        Path | None, typer.Option("--from", help="The model's file or folder; without it, the folder is there.")
    ] = None,
    like: Annotated[str, typer.Option(help="A variant's folder whose model.py fits these weights.")] = "",
    photo: Annotated[Path | None, typer.Option(help="What it is tried on.")] = None,
) -> None:
    """Makes a variant of a model: its folder, its entry in the list, its service in Compose."""
    folder = _ROOT / service_of(name)
    with explained():
        if any(name == variant.name for variant in read_listing(PATH).variants):
            raise NewcomerError(f"There is a variant {name} already. Choose another name.")
        if model:
            for file in make_folder(folder, model, _ROOT / like if like else None):
                typer.echo(f"made     {file.relative_to(_ROOT)}")
        elif not folder.is_dir():
            raise NewcomerError(f"There is no folder {folder.name}. Say by --from which model it is made of.")
        _check(folder, photo)
        variant = list_variant(PATH, _ROOT / "docker-compose.yml", name)
    typer.echo(f"listed   {PATH.relative_to(_ROOT)}, docker-compose.yml: {variant.service}, port {variant.port}")
    if (_RUN / "url").exists():
        said = f"make run starts it now, without traffic yet. Next: abtest variants, until {name} is ready."
        typer.echo(in_full(said, prefix()))
    else:
        typer.echo(f"Next: {_COMPOSE} {variant.service}; or make run, where that is not running yet.")


def variants(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="All facts, as JSON.")] = False
) -> None:
    """Lists the variants: who is compared, who is ready, who gets how much."""
    system: System = context.obj
    with explained():
        split, health, plan = system.split(), system.health()["variants"], system.get("/experiment.json")["experiment"]
    shares = split["in_force"]["split"]["shares"]
    rows = [
        {
            "name": name,
            "role": next((role for role in ("control", "candidate") if plan[role] == name), ""),
            "share": shares.get(name, 0.0),
            **health.get(name, {"ready": False, "detail": "no gateway knows it yet"}),
        }
        for name in split["variants"]
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    console = Console()
    cells = [
        (
            row["name"],
            row["role"] or "–",
            "[green]yes[/green]" if row["ready"] else f"[red]no: {row.get('detail')}[/red]",
            f"{row['share']:g} %",
            f"{weights['file']} {weights['sha256'][:12]}" if (weights := row.get("weights")) else "–",
        )
        for row in rows
    ]
    table(console, ("variant", "role", "ready", "wanted", "weights"), cells)
    if split["list_problem"]:
        console.print(f"The variants stay as they were: {split['list_problem']}", style="red", markup=False)


def redeploy(
    variant: Annotated[str, typer.Argument(help="Its name, or its folder's.", show_default=False)],
) -> None:
    """Starts a variant anew, with what its folder holds now; the others answer meanwhile."""
    with explained():
        listed = read_listing(PATH).variants
        found = next((known for known in listed if variant in (known.name, known.service)), None)
        if not found:
            raise RedeployError(f"There is no variant {variant!r}; there are {', '.join(v.name for v in listed)}.")
        if not (_RUN / "url").exists():
            raise RedeployError(
                f"No make run runs here. A container is replaced by {_COMPOSE} {found.service}; the others answer "
                "meanwhile."
            )
        have_started_anew(_RUN / "redeploy", found.service)
    typer.echo(f"{found.name} is ready again.")


def _check(folder: Path, photo: Path | None) -> None:
    """Tries the model where its libraries are; elsewhere its image does, when it is built."""
    if find_spec("torch") is None:
        typer.echo(f"checked  not here; {_COMPOSE} {folder.name} does, before it starts it")
        return
    photo = photo or next((_ROOT / "sample_data").rglob("*.jpg"), None)
    tried = [sys.executable, "-m", "serving", "check", folder.name, *([str(photo)] if photo else [])]
    if subprocess.run(tried, cwd=_ROOT, check=False).returncode:  # noqa: S603
        name = folder.name.removeprefix("app_")
        raise NewcomerError(f"{folder.name} is made, and not listed. Correct what is wrong, then: abtest new {name}")
