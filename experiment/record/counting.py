"""What one request adds to the counts, and taking it back when more becomes known of it.

A count's key is ``(what, variant, a, b)``, within an experiment and an epoch:

| what | variant | a | b | counts |
| --- | --- | --- | --- | --- |
| line | asked | kind | outcome | lines of the ledger |
| latency | asked | bucket | | lines with a time, by `bucket` |
| assigned | assigned | gateway | | requests that the split gave to it |
| failover, repeated | assigned | | | of those, the ones another variant answered, or whose id came again |
| answered | assigned | | | of the rest, those with an answer |
| people | drawn for | | | people, under a sticky split |
| pair | shown | same, differ | | of those answered, the ones that control and candidate both answered |
| label | assigned | source | | of those answered, the labelled ones; a label from the label page is not among them |
| labelled pair | shown | same, differ | source | those of them that are pairs |
| answer | answered | label | answer | labelled answers, of a pair both |
| cell | source | label | cell | labels by what they say of the comparison |
| picked | | label | cell | the same for labels from the label page, whose photos are chosen for being in dispute |
| person | who sent it | source | cell | the same for people, where they are known; folders are nobody's |
| unused | | | | labels that say nothing: forced, failed, repeated |
| left out | | why | source | labels of a photo that has one (again), by who gave enough (excess), by visitors |
| skipped, gap | | | | lines that are none of ours; files gone before they were read |
| early | | | | lines of before the experiment that ran when they were read |
| read, lost | gateway | run | | lines that were read; lines that the gateway wrote and that were not to be found |
| killed | gateway | run | | workers of nginx that were killed, each with a line perhaps that was not yet written |
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from experiment.plan import Plan
from experiment.record.ledger import Kind, Line, Outcome

__all__ = ["BUCKETS", "CELLS", "SEEN", "Key", "Request", "bucket", "bucket_end", "contributions", "line_keys"]

Key = tuple[str, str, str, str]

CELLS = (
    "both",
    "only_control",
    "only_candidate",
    "neither",
    "control_right",
    "control_wrong",
    "candidate_right",
    "candidate_wrong",
)

SEEN = "seen"
"""The source of a label whose giver had seen an answer; also of those that an earlier version did not tell apart."""

_PER_DECADE = 20
_FASTEST_S = 0.001
BUCKETS = 5 * _PER_DECADE


def bucket(seconds: float) -> int:
    """The histogram's bucket, 20 for each factor of ten from 1 ms to 100 s."""
    if seconds <= _FASTEST_S:
        return 0
    return min(int(_PER_DECADE * math.log10(seconds / _FASTEST_S)), BUCKETS - 1)


def bucket_end(number: int) -> float:
    """The longest time, in seconds, that falls into a bucket."""
    return float(_FASTEST_S * 10.0 ** ((number + 1) / _PER_DECADE))


@dataclass
class Request:
    """All that is known of one request, as in the table of that name."""

    request_id: str
    ts: float
    experiment: int
    epoch: int
    assigned: str | None = None
    forced: bool = False
    outcome: Outcome | None = None
    answer: str | None = None
    rest: int = 0
    failover: bool = False
    shadow: str | None = None
    shadow_answer: str | None = None
    disagree: bool = False
    label: str | None = None
    source: str | None = None
    labelled: float | None = None
    labeller: str | None = None
    left_out: str | None = None
    gateway: str | None = None
    image: str | None = None
    person: str | None = None
    ticket: bytes | None = None

    def add(self, line: Line) -> None:
        """Takes one more line into account."""
        self.image = self.image or line.image
        if line.kind != "shadow" and line.outcome == "ok":
            self.ticket = self.ticket or line.ticket
        if line.kind == "shadow":
            if self.shadow is None:
                self.shadow, self.shadow_answer = line.variant, line.answer
        elif self.assigned is None:
            self.assigned, self.outcome, self.answer = line.variant, line.outcome, line.answer
            self.epoch, self.gateway, self.person = line.epoch, line.gateway, line.person
            self.forced = line.kind == "forced"
        else:
            self.rest += 1
            failed = not {"failed", "away"}.isdisjoint((self.outcome, line.outcome))
            self.failover = self.failover or (failed and line.variant != self.assigned)
        self.disagree = (
            self._comparable and None not in (self.answer, self.shadow_answer) and (self.answer != self.shadow_answer)
        )

    @property
    def _comparable(self) -> bool:
        return self.assigned is not None and not self.forced and not self.rest

    def answers(self) -> dict[str, str]:
        """Who answered what, where the request takes part in the comparison."""
        if not self._comparable or self.answer is None or self.assigned is None:
            return {}
        found = {self.assigned: self.answer}
        if self.shadow is not None and self.shadow_answer is not None and self.shadow != self.assigned:
            found[self.shadow] = self.shadow_answer
        return found


_LINES: dict[tuple[str, Kind, Outcome], Key] = {}
_LATENCIES: dict[tuple[str, int], Key] = {}


def line_keys(line: Line) -> tuple[Key, Key | None]:
    """What the line itself counts for, and its time where it has one."""
    which = (line.variant, line.kind, line.outcome)
    key = _LINES.get(which) or _LINES.setdefault(which, ("line", line.variant, line.kind, line.outcome))
    if line.seconds is None:
        return key, None
    took = (line.variant, bucket(line.seconds))
    return key, _LATENCIES.get(took) or _LATENCIES.setdefault(took, ("latency", line.variant, str(took[1]), ""))


def contributions(request: Request, plan: Plan | None) -> Iterator[Key]:
    """The counts that hold ``request`` once each; none without a ``plan``, outside of every experiment."""
    if plan is None or request.assigned is None:
        return
    if not request.forced:
        yield "assigned", request.assigned, request.gateway or "", ""
        if request.rest:
            yield "failover" if request.failover else "repeated", request.assigned, "", ""
    answers = request.answers()
    paired = plan.control in answers and plan.candidate in answers
    if answers:
        yield "answered", request.assigned, "", ""
    if paired:
        yield "pair", request.assigned, "same" if answers[plan.control] == answers[plan.candidate] else "differ", ""
    if request.label is not None:
        yield from _labelled(request, plan, answers, paired)


def _labelled(request: Request, plan: Plan, answers: Mapping[str, str], paired: bool) -> Iterator[Key]:
    label = request.label or ""
    assigned = request.assigned or ""
    source = request.source if request.source in ("blind", "page") else SEEN
    if request.left_out:
        yield "left out", "", request.left_out, source
        return
    if not answers:
        yield "unused", "", "", ""
        return
    right = {variant: answer == label for variant, answer in answers.items()}
    if paired:
        cell = CELLS[2 * (not right[plan.control]) + (not right[plan.candidate])]
    elif assigned == plan.control:
        cell = CELLS[4 + (not right[assigned])]
    elif assigned == plan.candidate:
        cell = CELLS[6 + (not right[assigned])]
    else:
        cell = ""
    if request.person and cell and source != "blind":
        yield "person", request.person, source, cell
    if source == "page":
        yield ("picked", "", label, cell) if paired else ("unused", "", "", "")
        return
    yield "label", assigned, source, ""
    if paired:
        yield "labelled pair", assigned, "differ" if request.disagree else "same", source
    for variant, answer in answers.items():
        yield "answer", variant, label, answer
    if cell:
        yield "cell", source, label, cell
