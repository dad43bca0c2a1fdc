"""What the system refuses, said as a sentence, and the exit status that goes with it."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from abtest.client import RefusedError
from abtest.newcomers import NewcomerError
from abtest.redeploy import RedeployError
from abtest.replay import ReplayError
from abtest.typed import in_lines, prefix
from variants import ListError

__all__ = ["explained"]


@contextmanager
def explained() -> Iterator[None]:
    """Says why something was refused, with commands as they are typed here, and ends with status 1."""
    try:
        yield
    except (ListError, NewcomerError, RedeployError, RefusedError, ReplayError) as error:
        console = Console(stderr=True)
        said = in_lines(str(error), console.width, prefix())
        console.print(said, style="red", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
