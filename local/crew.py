"""Which variants run: those that the gateways serve, and each anew when ``abtest redeploy`` asks for it."""

from collections.abc import Sequence
from contextlib import suppress

import requests

from abtest.redeploy import ASKED, ENDED, READY
from local.parts import Place, served_by, taken_ports
from local.processes import Processes
from variants import Variant

__all__ = ["Crew"]


class Crew:
    """The variants among ``processes``; those of the start are ``variants``, and parts without which nothing goes on.

    One that was started later, or anew, may end, and the rest goes on without it.
    """

    def __init__(self, processes: Processes, place: Place, variants: Sequence[Variant]) -> None:
        self._processes = processes
        self._place = place
        self._listed = list(variants)
        self._running: dict[str, Variant] = {}
        self._leaving: set[str] = set()
        self._anew: set[str] = set()
        self._dispensable: set[str] = set()
        self._failed: set[str] = set()
        place.redeploy.mkdir(parents=True, exist_ok=True)
        for left in place.redeploy.iterdir():
            left.unlink()
        for variant in variants:
            self._start(variant)

    def look(self) -> None:
        """Starts and stops what has to be by now."""
        with suppress(requests.RequestException, ValueError, TypeError):
            address = f"http://127.0.0.1:{self._place.experiment_port}/gateway/variants"
            self._listed = [Variant(**entry) for entry in requests.get(address, timeout=1).json()]
        for service, variant in self._running.items():
            if variant not in self._listed:
                self._stop(service)
        for service in self._asked() - self._anew:
            self._anew.add(service)
            self._failed.discard(service)
            if service in self._running:
                self._stop(service)
        for variant in self._listed:
            if variant.service in self._running or variant.service in self._failed or taken_ports([variant.port]):
                continue
            self._dispensable.add(variant.service)
            self._start(variant)
        for service in list(self._anew):
            if service in self._running and service not in self._leaving and _is_ready(self._running[service]):
                self._answer(service, READY)

    def ended(self, service: str) -> bool:
        """Takes note of the end of a process; whether the rest goes on without it."""
        if service not in self._leaving | self._dispensable:
            return False
        self._processes.take_note(service)
        del self._running[service]
        if service not in self._leaving:
            self._failed.add(service)
            self._answer(service, ENDED)
        self._leaving.discard(service)
        return True

    def _asked(self) -> set[str]:
        """The services that are to be started anew."""
        found = set()
        for file in self._place.redeploy.iterdir():
            with suppress(FileNotFoundError):  # whoever asked waits no more
                if file.read_text() == ASKED:
                    found.add(file.name)
        return found

    def _start(self, variant: Variant) -> None:
        self._running[variant.service] = variant
        self._processes.start(variant.service, *served_by(variant))

    def _stop(self, service: str) -> None:
        if service not in self._leaving:
            self._leaving.add(service)
            self._processes.stop(service)

    def _answer(self, service: str, how: str) -> None:
        self._anew.discard(service)
        asked = self._place.redeploy / service
        if asked.exists():
            asked.write_text(how)


def _is_ready(variant: Variant) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{variant.port}/readyz", timeout=1).ok
    except requests.RequestException:
        return False
