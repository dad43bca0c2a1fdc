"""What is compared, from ``experiment.toml``."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from experiment.edited import EditedFile
from experiment.statistics import Comparison
from variants import NAMES

__all__ = ["Guardrails", "Plan", "PlanError", "PlanFile", "read_plan"]

_Share = Annotated[float, Field(gt=0, lt=1)]


class PlanError(ValueError):
    """A plan that cannot be followed; the message is one line that says what to change."""


class UnknownVariantError(PlanError):
    """A ``plan`` that holds together, and names a variant that there is not."""

    def __init__(self, message: str, plan: "Plan") -> None:
        super().__init__(message)
        self.plan = plan


class Guardrails(BaseModel):
    """What the candidate may do before it loses its traffic: shares of requests, and seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    error_rate: _Share = 0.02
    slow_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    slow_share: _Share = 0.05


class Plan(BaseModel):
    """One experiment as written down before it starts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(max_length=100)] = ""
    control: str
    candidate: str
    alpha: Annotated[float, Field(ge=0.0001, le=0.5)] = 0.05
    margin: Annotated[float, Field(ge=0, le=0.5)] = 0.01
    minimum_labels: Annotated[int, Field(ge=1)] = 100
    worth: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    labels_per_person: Annotated[int, Field(ge=0)] = 20
    count_visitors: bool = False
    guardrails: Guardrails = Guardrails()

    @property
    def comparison(self) -> Comparison:
        return Comparison(self.control, self.candidate, self.alpha, self.margin, self.minimum_labels, self.worth)


def read_plan(path: Path, variants: Sequence[str] = NAMES) -> Plan:
    """The plan in ``path`` for ``variants`` of these names.

    Raises ``PlanError`` where there is none or it does not hold together.
    """
    try:
        plan = Plan(**tomllib.loads(path.read_text()))
    except OSError as error:
        raise PlanError(f"{path} cannot be read ({error.strerror}): it says what is compared.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path.name}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise PlanError(f"{path.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    if plan.control == plan.candidate:
        raise PlanError(f"{path.name}: control and candidate are both {plan.control!r}; name two variants.")
    for role, name in (("control", plan.control), ("candidate", plan.candidate)):
        if name not in variants:
            there = ", ".join(variants)
            raise UnknownVariantError(f"{path.name}: {role}: there is no variant {name!r}; there are {there}.", plan)
    return plan


class PlanFile:
    """The plan in a file that people edit while it is followed: what is half saved is not taken up."""

    def __init__(self, path: Path, running: Plan | None = None) -> None:
        """Raises ``PlanError`` where there is no plan to begin with.

        The one of the experiment that is ``running`` will do, though its variants be gone: its record stays readable.
        """
        try:
            self.plan = read_plan(path)
        except UnknownVariantError as error:
            if error.plan != running:
                raise
            self.plan = error.plan
        self._file = EditedFile(path)

    def read(self, variants: Sequence[str]) -> Plan:
        """The plan as it is now, once it has stayed the same for 2 s; until then, the one before.

        Raises ``PlanError`` for one that has stayed wrong as long.
        """
        if self._file.settled():
            self.plan = read_plan(self._file.path, variants)
        return self.plan
