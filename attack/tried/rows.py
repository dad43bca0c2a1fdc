"""What once got through, each attack by its name; what came of it, and whether the system held."""

from collections.abc import Callable
from dataclasses import dataclass

from attack.target import Target
from attack.tried import files, people, protocol

__all__ = ["ROWS", "Row"]


@dataclass(frozen=True)
class Row:
    attack: str
    seen: str
    held: bool


ROWS: dict[str, Callable[[Target], tuple[str, bool]]] = {
    "a GIF of 43 bytes with a canvas of 65535²": files.gif,
    "four TIFFs whose tiles are all the same 0.85 MB": files.tiffs,
    "PNGs of 1 × 50,000,000 pixels and the other way round": files.long_png,
    "PNGs and a GIF with a comment over 64 KB, on both paths": files.comments,
    "a good TIFF of mode La": files.premultiplied,
    "quick and slow photos, in turn as the variants are": people.alternation,
    "100 anonymous predictions and labels for the candidate": people.stuffing,
    "a stranger's kept photo, and its request id sent again": people.strangers_photos,
    "`/static/..%2f..%2fapp.py`, `/static/%00`, an HTTP/2 preface": protocol.bare_pages,
    "requests that nginx itself refuses": protocol.wrong_words,
    "redirects with a `Host` of the client's": protocol.foreign_host,
    "cross-site JSON sent as text/plain": protocol.cross_site,
    "a published model file replaced in its bucket": files.replaced_weights,
}
"""Files first, then people, then requests of an odd form, and last a file that is fetched."""
