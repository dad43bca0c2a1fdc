"""What the counts say: always-valid tests, intervals, checks, guardrails and the verdict.

Counts go in, facts come out: no files, no clock, no randomness. "Always valid" means that an error rate holds however
often one looks and whenever one stops. It rests on e-processes: the wealth of a bettor against the null hypothesis,
1 at the start and in expectation never more, so that it reaches 1/α with probability at most α at any time (Ville's
inequality; A. Ramdas, P. Grünwald, V. Vovk, G. Shafer, "Game-theoretic statistics and safe anytime-valid inference",
Statistical Science 2023). Wealth is kept as its logarithm.

`Counts` are numbers, or arrays of any common shape where a whole curve over time is wanted; answers have the shape of
the question. To be read in this order:

- `inference`, from labels to how far the accuracies lie apart: `evidence`, `people`, `paired`, `unpaired`,
  `difference`, and beside it `display`;
- `checks`, whether that may be believed, and whether a variant has begun to go wrong: `fairness`, `guardrail`;
- `decision`, what may be said now, and how long it takes: `forecast`, `verdict`, `simulation`.

The sentences stand apart, in `messages` and `checks.messages`.
"""

from experiment.statistics import messages
from experiment.statistics.checks import messages as check_messages
from experiment.statistics.checks.fairness import (
    PairChecks,
    RatioCheck,
    check_draws,
    check_labels,
    check_pair_labels,
    check_turns,
)
from experiment.statistics.checks.guardrail import Guardrail, State, fails_altogether, guardrail, guardrail_pairs
from experiment.statistics.decision.forecast import LabelsNeeded, labels_needed
from experiment.statistics.decision.simulation import Scenario, Simulation, simulate
from experiment.statistics.decision.verdict import Comparison, Outcome, Verdict, verdict
from experiment.statistics.inference.difference import Interval, decisions, difference, log_e
from experiment.statistics.inference.display import (
    ClassComparison,
    accuracies,
    accuracy,
    chance_better,
    compare_classes,
    probability_better,
    probability_better_paired,
)
from experiment.statistics.inference.evidence import (
    Arms,
    Evidence,
    LeftOut,
    Pairs,
    People,
    Tally,
    of_disputed,
    why_left_out,
)
from experiment.statistics.inference.paired import mcnemar_log_e, mcnemar_p

__all__ = [
    "Arms",
    "ClassComparison",
    "Comparison",
    "Evidence",
    "Guardrail",
    "Interval",
    "LabelsNeeded",
    "LeftOut",
    "Outcome",
    "PairChecks",
    "Pairs",
    "People",
    "RatioCheck",
    "Scenario",
    "Simulation",
    "State",
    "Tally",
    "Verdict",
    "accuracies",
    "accuracy",
    "chance_better",
    "check_draws",
    "check_labels",
    "check_messages",
    "check_pair_labels",
    "check_turns",
    "compare_classes",
    "decisions",
    "difference",
    "fails_altogether",
    "guardrail",
    "guardrail_pairs",
    "labels_needed",
    "log_e",
    "mcnemar_log_e",
    "mcnemar_p",
    "messages",
    "of_disputed",
    "probability_better",
    "probability_better_paired",
    "simulate",
    "verdict",
    "why_left_out",
]
