"""Has a variant begun to go wrong? Answered within a few requests, and in vain hardly ever."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from experiment.statistics.inference.evidence import Tally, floats

__all__ = ["BURST", "Guardrail", "State", "fails_altogether", "guardrail", "guardrail_pairs"]

State = Literal["ok", "above", "breach", "too_little_traffic"]

BURST = 3
"""Faults that come from one cause, one request after the other, and count as one."""

_RISES = np.array([0.03, 0.06, 0.12, 0.25, 0.5, 0.95])
_ALTOGETHER = 24


@dataclass(frozen=True)
class Guardrail:
    """`bad` of the last `total` requests of the candidate, where a share of `limit` is put up with.

    `allowed` is `limit`, or more where the control goes wrong as well. The alarm sounds ("breach") when `log_evidence`
    reaches `log_needed`. "above": the share seen is greater than `limit`, but that it will stay so is not certain, or
    the control does no better. Too little traffic is neither pass nor breach.
    """

    state: State
    bad: int
    total: int
    allowed: float
    log_evidence: float
    log_needed: float
    limit: float = 0.0

    @property
    def share(self) -> float:
        return self.bad / self.total if self.total else 0.0


def guardrail(
    recent: Sequence[bool] | NDArray[np.bool_],
    control: Tally,
    limit: float,
    minimum: int = 20,
    false_alarm_every: float = 1e7,
) -> Guardrail:
    """Whether the candidate has begun to go wrong more often than `limit` and than the control.

    `recent`: the candidate's requests in a sliding window, oldest first, True where one failed, or took longer than a
    stated bound. At one request a second the window should hold ten minutes. `control`: the same over the same window,
    `right` being those without fault. Where it had any faults, allowed is `limit` or the control's 99 % upper bound
    (C. Clopper, E. Pearson, Biometrika 1934), whichever is more: what both suffer from is no fault of the candidate.
    Where it had none, or no requests, `limit` alone holds. Raises ValueError unless 0 < `limit` < 1.

    Shiryaev–Roberts e-detector: J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential
    change detection", New England Journal of Statistics in Data Science 2023. The sum, over all starting points in the
    window, of the likelihood ratio since then, averaged over six rates above the allowed one. With requests no worse
    than allowed, false alarms come at most every `false_alarm_every` requests on average, and within n requests with
    probability at most n / `false_alarm_every`; the window can only make them rarer. The control's bound is a plug-in.

    One cause may fault several requests in a row, which are no independent evidence: after a fault the next two
    requests are passed over, like the dead time of a counter. Given what went before, each of the others then faults
    with a probability of at most the allowed share, also where faults come in bursts of three.
    """
    if not 0 < limit < 1:
        raise ValueError("limit must lie between 0 and 1")
    bad = np.asarray(recent, dtype=np.bool_)
    fine, total = float(floats(control.right)), float(floats(control.total))
    ceiling = float(special.betaincinv(total - fine + 1, fine, 0.99)) if 0 < fine < total else float(total > fine)
    allowed = min(max(limit, ceiling), 1 - 1e-9)
    at_fault = np.log1p(_RISES * (1 - allowed) / allowed)
    steps = np.where(_counted(bad)[:, None], np.where(bad[:, None], at_fault, np.log1p(-_RISES)), 0)
    since = np.cumsum(steps[::-1], axis=0)[_counted(bad)[::-1]]
    evidence = float(special.logsumexp(since) - math.log(len(_RISES))) if bad.size else 0.0
    needed = math.log(false_alarm_every)
    state: State = "ok"
    if evidence >= needed:
        state = "breach"
    elif bad.size < minimum:
        state = "too_little_traffic"
    elif bad.sum() > limit * bad.size:
        state = "above"
    return Guardrail(state, int(bad.sum()), bad.size, allowed, evidence, needed, limit)


def _counted(bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """All but the two requests after each fault that counts."""
    counted = np.ones(bad.size, dtype=np.bool_)
    resumes = 0
    for place in np.flatnonzero(bad):
        if place >= resumes:
            resumes = int(place) + BURST
            counted[place + 1 : resumes] = False
    return counted


def guardrail_pairs(
    candidate: Sequence[bool] | NDArray[np.bool_],
    control: Sequence[bool] | NDArray[np.bool_],
    limit: float,
    minimum: int = 20,
    false_alarm_every: float = 1e7,
) -> Guardrail:
    """The same where both scored every photo: how often the candidate was at fault and the control was not.

    `candidate` and `control`: one entry a pair, oldest first, True where that variant was slow (or failed). A photo
    that is slow with both is a large photo, and no more the candidate's fault than the control's. What is put up with
    is `limit`, or what befalls the control alone. Raises ValueError unless 0 < `limit` < 1, or for unequal lengths.
    """
    ours, theirs = np.asarray(candidate, dtype=np.bool_), np.asarray(control, dtype=np.bool_)
    if ours.size != theirs.size:
        raise ValueError("a pair has two entries")
    alone = int((theirs & ~ours).sum())
    return guardrail(ours & ~theirs, Tally(ours.size - alone, ours.size), limit, minimum, false_alarm_every)


def fails_altogether(recent: Sequence[bool] | NDArray[np.bool_], run: int = _ALTOGETHER) -> bool:
    """Whether the last `run` requests of a variant, the control too, all failed; `recent` is oldest first.

    A variant that fails no more than every second request, independently, does so by chance less than once in 10⁷
    requests (2⁻²⁴); one that fails a tenth of them in bursts of three less than once in 10⁷ as well (eight bursts, one
    right after the other). No limit is configured for it: nobody wants such answers.
    """
    bad = np.asarray(recent, dtype=np.bool_)[-run:]
    return bad.size == run and bool(bad.all())
