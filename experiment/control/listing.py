"""The list of variants, taken up from its file while the system runs."""

import logging
from collections.abc import Sequence
from pathlib import Path

from experiment.control.changes import Changes, UndecidedError
from experiment.control.splits import StaleError
from experiment.edited import EditedFile
from traffic.split import SplitError
from variants import CLASSES, ListError, Variant, read_listing

__all__ = ["ListFile"]

log = logging.getLogger("experiment")


class ListFile:
    """The file in ``path``, followed; ``problem`` says why the list in force is not the one in it."""

    def __init__(self, path: Path, changes: Changes) -> None:
        self.problem = ""
        self._file = EditedFile(path)
        self._changes = changes
        self._refused: Sequence[Variant] = ()

    def look(self) -> None:
        """Takes up what has stayed the same for 2 s; a list that gateways refused is not tried again."""
        if not self._file.settled() or not self._changes.gateways.present():
            return
        try:
            listed = _variants(self._file.path)
            if listed == self._refused:
                return
            if listed != self._changes.variants:
                self._take_up(listed)
        except (ListError, SplitError) as error:
            if str(error) != self.problem:
                log.warning("The variants stay as they were: %s", error)
            self.problem = str(error)
        else:
            self.problem = ""

    def _take_up(self, listed: Sequence[Variant]) -> None:
        self._refused = ()
        try:
            entry = self._changes.relist(listed)
        except (StaleError, UndecidedError):
            return  # a later round does
        except SplitError:
            self._refused = listed
            raise
        log.warning("The variants changed: %s.", entry.reason)


def _variants(path: Path) -> Sequence[Variant]:
    """Raises ``ListError`` for a list that this process cannot take up."""
    listing = read_listing(path)
    if listing.classes != CLASSES:
        raise ListError(f"{path.name}: other classes need a new start of the whole system.")
    return listing.variants
