"""Changes of the split, from being asked for to being in force: every gateway has taken it over, or none keeps it."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from experiment.control.gateways import Gateways
from experiment.control.splits import Action, Entry, Splits, StaleError
from traffic.render import UNRECORDED, render_routes
from traffic.split import Split, SplitError
from variants import VARIANTS, Variant

__all__ = ["Changes", "Offer", "UndecidedError"]

log = logging.getLogger("experiment")

_ANSWER_S = 25.0
_APPEAR_S = 12.0
_LOOK_S = 0.25


class UndecidedError(Exception):
    """A change of which nobody can say yet how it ends; the message is a sentence."""


@dataclass(frozen=True)
class Offer:
    """What gateways are to serve: the epoch, and the text of their routes."""

    epoch: int
    routes: str


class Changes:
    """The one place where splits, and the list of variants, are changed.

    ``seen`` is the greatest epoch that the ledger is known to hold; ``variants`` are those that gateways serve.
    """

    def __init__(self, splits: Splits, gateways: Gateways, variants: Sequence[Variant] = VARIANTS) -> None:
        self.splits = splits
        self.gateways = gateways
        self.variants = variants
        self._proposed: Sequence[Variant] = variants
        self._key = ""
        self.seen = 0
        self._offered: Offer | None = None
        self._asked_at = 0.0
        self._lock = threading.Lock()

    def make(
        self,
        action: Action,
        against: int,
        make: Callable[[Entry], tuple[Split, int | None]],
        asked_by: str,
        reason: str = "",
    ) -> Entry:
        """Asks for a change and waits until it is in force; returns its entry.

        Raises ``SplitError`` where it is refused, or no gateway takes it over: then what was in force is again. Raises
        ``UndecidedError`` where this service ends meanwhile; its next start sees to the rest.
        """
        entry: Entry | None = self.splits.ask(action, against, make, asked_by, reason, self._highest())
        self._offer_latest()
        while entry and entry.standing == "asked":
            if self.gateways.closed:
                raise UndecidedError(
                    f"The service is being stopped. `abtest status` will say what became of epoch {entry.epoch}."
                )
            self.gateways.wait(_LOOK_S)
            self.settle()
            entry = self.splits.get(entry.epoch)
        assert entry is not None, "rows of the record are never deleted"
        if entry.standing == "refused":
            raise SplitError(f"Nothing was changed: {entry.answer}")
        return entry

    @property
    def names(self) -> list[str]:
        """The names of the variants."""
        return [variant.name for variant in self.variants]

    def relist(self, variants: Sequence[Variant]) -> Entry:
        """Takes up another list of variants, and waits until every gateway serves by it; returns the split then.

        What is new gets no traffic yet; what is gone leaves its share to the others. Raises as ``make`` does; then the
        list of before is in force.
        """
        names = [variant.name for variant in variants]
        against = self.splits.in_force().epoch
        reason = _difference(self.variants, variants)
        self._proposed = variants
        try:
            entry = self.make("variants", against, lambda before: self.splits.restated(before, names), "", reason)
            self.variants, self.splits.variants = variants, names
        finally:
            self._proposed = self.variants
            self._offer_latest()
        return entry

    def roll_back(self, against: int, asked_by: str, reason: str = "") -> Entry:
        """Brings back the split before the one in force; once more goes back one further. Raises as ``make`` does."""

        def before(entry: Entry) -> tuple[Split, int | None]:
            found = self.splits.before(entry)
            return found.split, found.epoch

        return self.make("rollback", against, before, asked_by, reason)

    def offer(self) -> Offer:
        """What gateways are to serve now: what is asked for, else what is in force."""
        with self._lock:
            if self._offered is None:
                self._set_latest()
            assert self._offered is not None
            return self._offered

    def bring_up_to_date(self) -> None:
        """Begins the record, or goes on from it with the variants and above the epochs that there are by now."""
        current = self.splits.in_force()
        highest = self._highest()
        if current.epoch == UNRECORDED:
            action: Action = "start"
            reason = "all variants in turn"
        elif not self.splits.fits(current):
            action, reason = "variants", "a variant of the split before is no more; the others take its share"
        elif highest > max(current.epoch, self.splits.latest()):
            action, reason = "gateway", f"epoch {highest} was served, of which this record knows nothing"
        else:
            return
        with suppress(StaleError):  # somebody was quicker
            self.splits.ask(action, current.epoch, self.splits.restated, "", reason, highest, "in_force")
        self._offer_latest()

    def hash_people_with(self, key: str) -> None:
        """Has gateways make people's hashes with ``key`` from now on."""
        with self._lock:
            self._key = key
            if self._offered is not None:
                self._set_latest()
        self.gateways.wake()

    def adopt(self, split: Split, gateway: str) -> None:
        """Takes what ``gateway`` serves into a record that does not know it."""
        self.splits.adopt(split, gateway)
        self._offer_latest()

    def settle(self) -> None:
        """Says of what is asked for how it ended, where that can be said by now."""
        with self._lock:
            entry = self.splits.asked()
            if entry is None:
                return
            if self._offered is None or self._offered.epoch != entry.epoch:
                self._set_latest()  # asked for before this service began
            present = self.gateways.present()
            refusals = [f"{g.name}: {g.refused[entry.epoch]}" for g in present if entry.epoch in g.refused]
            late = [gateway.name for gateway in present if gateway.epoch != entry.epoch]
            waited = time.monotonic() - self._asked_at
            if refusals:
                why = f"nginx refuses this split. {'; '.join(refusals)}"
            elif present and not late:
                self.splits.settle(entry.epoch, "in_force")
                return
            elif present and waited > _ANSWER_S:
                why = f"{', '.join(late)} did not take it over in time."
            elif not present and waited > _APPEAR_S:
                why = "no gateway answers. Is nginx running?"
            else:
                return
            self.splits.settle(entry.epoch, "refused", why)
            log.warning("Epoch %d is refused: %s", entry.epoch, why)
            self._set_latest()
        self.gateways.wake()

    def _highest(self) -> int:
        return max(self.seen, self.gateways.highest_epoch())

    def _offer_latest(self) -> None:
        with self._lock:
            self._set_latest()
        self.gateways.wake()

    def _set_latest(self) -> None:
        entry = self.splits.asked() or self.splits.in_force()
        self._asked_at = time.monotonic()
        relisted = entry.standing == "asked" and entry.action == "variants"
        routes = render_routes(entry.split, self._proposed if relisted else self.variants, self._key)
        self._offered = Offer(entry.epoch, routes)


def _difference(before: Sequence[Variant], after: Sequence[Variant]) -> str:
    """What another list changes, in words."""
    old, new = ({variant.name: variant for variant in listed} for listed in (before, after))
    said = [f"{name} was added" for name in new if name not in old]
    said += [f"{name} was removed, and the others take its share" for name in old if name not in new]
    said += [f"{name} is another service now" for name in new if name in old and new[name] != old[name]]
    return "; ".join(said) or "the variants are in another order"
