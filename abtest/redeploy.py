"""Has ``make run`` start a variant anew, by a file that both of them see."""

import time
from pathlib import Path

__all__ = ["ASKED", "ENDED", "READY", "RedeployError", "redeploy"]

# What the file holds, which is named after a service: what is asked, and how it went.
ASKED, READY, ENDED = "asked", "ready", "ended"
_LOOK_S = 0.2
_PATIENCE_S = 300.0


class RedeployError(Exception):
    """Why a variant does not serve anew; the message is a sentence."""


def redeploy(folder: Path, service: str) -> None:
    """Waits until ``service`` was ended, started and is ready; ``folder`` is where ``make run`` looks.

    Raises ``RedeployError`` where it is not ready after all.
    """
    asked = folder / service
    asked.write_text(ASKED)
    until = time.monotonic() + _PATIENCE_S
    try:
        while (said := asked.read_text()) != READY:
            if said == ENDED:
                raise RedeployError(f"{service} ended again; what make run printed says why. The others answer for it.")
            if time.monotonic() > until:
                raise RedeployError(f"{service} is not ready yet; what make run prints says why.")
            time.sleep(_LOOK_S)
    except FileNotFoundError:
        raise RedeployError("make run has ended.") from None
    finally:
        asked.unlink(missing_ok=True)
