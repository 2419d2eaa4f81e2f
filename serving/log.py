"""Read Triton's log: which models are loaded, and why one is not."""

import re
from collections.abc import Iterable

_LOADED = re.compile(r"successfully loaded '([^']+)'")
_FAILED = re.compile(r"failed to load '([^']+)' version \S+: (.*?)\"?$")
_REFUSED = re.compile(r"(?:Poll failed for model directory|Invalid argument: (?:in )?ensemble) ?(.*?)\"?$")
_NOT_STARTED = re.compile(r"^(?:error: |E\d{4} \S+ \d+ main\.cc:\d+\] )\"?(.*?)\"?$")
_STILL_LOADED = re.compile(r"Timeout \d+: Found (\d+) live models and \d+ in-flight")
_HARMLESS = ("failed to load all models", "CudaDriverHelper", "unable to create stream")


def loaded_models(lines: Iterable[str]) -> list[str]:
    """Models loaded so far, in order."""
    return [match[1] for line in lines if (match := _LOADED.search(line))]


def failures(lines: Iterable[str]) -> list[str]:
    """The few lines that say why the server did not start: one a model, without Python's traceback."""
    found: dict[str, None] = {}
    for line in lines:
        if match := _FAILED.search(line):
            found.setdefault(f"{match[1]}: {_reason(match[2])}")
        elif match := _REFUSED.search(line):
            found.setdefault(_reason(match[0]))
        elif (match := _NOT_STARTED.search(line)) and not any(text in line for text in _HARMLESS):
            found.setdefault(_reason(match[1]))
    return list(found)


def still_loaded(lines: Iterable[str]) -> list[int]:
    """How many models were still loaded, second by second, after the ending server had answered all requests."""
    return [int(match[1]) for line in lines if (match := _STILL_LOADED.search(line))]


def _reason(text: str) -> str:
    return re.split(r"\\n\\nAt:|\\n", text)[0].strip().strip('"')
