"""JSON lines of comparisons, written by a thread of its own, in two files of bounded size."""

import threading
from pathlib import Path
from queue import Empty, Full, Queue

MOST_WAITING = 1000
"""Lines; the disk may stand still for a while."""

END_S = 1.0
"""How long closing waits for the disk."""


class ShadowLog:
    """Appends lines to a file; when it has reached its size, it becomes `<file>.1`, and a new one begins.

    Args:
        file: its folder must be there.
        most_bytes: of each of the two files, about.

    Raises:
        OSError: if the file cannot be opened.
    """

    def __init__(self, file: Path, most_bytes: int) -> None:
        self._file, self._most_bytes = file, most_bytes
        with file.open("a", encoding="utf-8"):
            pass
        self._lines: Queue[str | None] = Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="shadow log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Have a line written; dropped if too many wait."""
        try:
            self._lines.put_nowait(line)
        except Full:
            return

    def close(self) -> None:
        """Write what waits, unless the disk stands still."""
        try:
            self._lines.put(None, timeout=END_S)
        except Full:
            return
        self._thread.join(END_S)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._append(self._with_those_that_wait(line))
            except OSError as error:
                print(f"shadow log {self._file}: {error}")

    def _with_those_that_wait(self, line: str) -> str:
        lines = [line]
        while len(lines) < MOST_WAITING:
            try:
                more = self._lines.get_nowait()
            except Empty:
                break
            if more is None:
                self._lines.put(None)
                break
            lines.append(more)
        return "".join(f"{each}\n" for each in lines)

    def _append(self, text: str) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(text)
            is_full = file.tell() >= self._most_bytes
        if is_full:
            self._file.replace(self._file.with_name(self._file.name + ".1"))
