"""Have Triton write the times of the steps of some requests to a file."""

import shutil
from dataclasses import dataclass
from pathlib import Path

DEFAULT_RATE = 1000
PART = 10
"""Traces written at a time. Fewer, the last ones, are lost where a process died on a request that was traced."""


@dataclass(frozen=True)
class Tracing:
    """What to trace, and where to.

    Attributes:
        file: where the traces are once the server has ended, as one JSON list.
        rate: one request in so many is traced.

    Triton would write a single file at the very end, which a server that must be killed never reaches, and which one
    request that it lost track of prevents. So it writes parts, which are joined here.
    """

    file: Path
    rate: int

    @property
    def parts(self) -> Path:
        """The folder of the parts, while the server runs."""
        return self.file.with_name(f"{self.file.name}.parts")

    def arguments(self) -> list[str]:
        """Triton's options."""
        file = self.parts.absolute() / "part"  # The server's working directory is another.
        settings = (f"triton,file={file}", f"triton,log-frequency={PART}", f"rate={self.rate}", "count=-1")
        return [f"--trace-config={setting}" for setting in (*settings, "level=TIMESTAMPS", "mode=triton")]

    def begin(self) -> None:
        """Before the server starts: empty the file and the folder.

        Raises:
            OSError: if they cannot be written.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text("[]")
        shutil.rmtree(self.parts, ignore_errors=True)
        self.parts.mkdir()

    def end(self) -> None:
        """After the server has ended: join the parts, once."""
        if not self.parts.is_dir():
            return
        parts = sorted(self.parts.iterdir(), key=lambda part: int(part.suffix[1:]))
        with self.file.open("w") as file:
            for number, part in enumerate(parts):
                file.write("," if number else "[")
                file.write(part.read_text()[1:-1])
            file.write("]" if parts else "[]")
        shutil.rmtree(self.parts)
