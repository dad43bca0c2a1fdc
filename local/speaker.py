"""Standard output that stops nobody."""

import os
import queue
import threading

__all__ = ["Speaker"]

_MOST = 10_000
_LAST_WORDS_S = 1.0


class Speaker:
    """Writes to standard output in a thread of its own: a reader who stops reading, as ``less`` does, stops nothing."""

    def __init__(self) -> None:
        # One that may be put to in a signal's handler.
        self._texts: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._unsaid = 0
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """Leaves the text out where too much waits already."""
        if self._texts.qsize() >= _MOST:
            self._unsaid += 1
            return
        if self._unsaid:
            text = f"({self._unsaid} lines that nobody read are left out)\n{text}"
        self._unsaid = 0
        self._texts.put(text)

    def close(self) -> None:
        """Waits a moment until all is written."""
        self._texts.put(None)
        self._thread.join(_LAST_WORDS_S)

    def _speak(self) -> None:
        while (text := self._texts.get()) is not None:
            left = text.encode()
            # Past sys.stdout, whose lock would keep a blocked thread from being left behind. A reader who is gone hears
            # nothing more.
            while left:
                try:
                    left = left[os.write(1, left) :]
                except OSError:
                    break
