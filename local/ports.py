"""The ports of a system on one machine: those that are listed, or the next ones where another copy has them."""

import re
import socket
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from variants import Variant

__all__ = ["free_ports", "listing_at", "taken_ports", "variants_at"]


def taken_ports(ports: Sequence[int]) -> list[int]:
    """Those of ``ports`` that something on this machine listens on already."""
    taken = []
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))  # noqa: S104  (what nginx will bind)
            except OSError:
                taken.append(port)
    return taken


def free_ports(wanted: Sequence[int], but: int) -> list[int]:
    """Each of ``wanted`` where it is free and not ``but``, else the next one that is and that nobody else wants."""
    spoken_for = {but, *wanted}
    found = []
    for port in wanted:
        free = port
        if port == but or taken_ports([port]):
            others = chain(range(port + 1, 65536), range(1024, port))
            free = next(other for other in others if other not in spoken_for and not taken_ports([other]))
            spoken_for.add(free)
        found.append(free)
    return found


def variants_at(variants: Sequence[Variant], ports: Sequence[int]) -> list[Variant]:
    """The variants at ``ports``."""
    return [replace(variant, port=port) for variant, port in zip(variants, ports, strict=True)]


def listing_at(listing: str, before: Sequence[Variant], after: Sequence[Variant]) -> str:
    """The text of a list of variants, with the ports of ``after``."""
    ports = {str(old.port): str(new.port) for old, new in zip(before, after, strict=True)}
    return re.sub(r"(?m)^(port\s*=\s*)(\d+)", lambda line: line[1] + ports.get(line[2], line[2]), listing)
