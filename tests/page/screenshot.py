"""A picture of the page: python -m tests.page.screenshot ADDRESS FILE [light|dark] [WIDTH] [SAMPLE]."""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.page.browser import browser

SCORED = "document.querySelectorAll('.sentence').length && document.querySelector('.waterfall')"


def take(address: str, file: Path, scheme: str = "light", width: int = 1280, sample: int = 1) -> None:
    """Have a sample scored, twice, so that nothing is cold, and write the whole page, PNG."""
    with tempfile.TemporaryDirectory() as profile, browser(Path(profile)) as tab:
        tab.open(address, width, scheme=scheme)
        tab.wait_for("document.querySelector('.state.ready')")
        for _ in range(2):
            tab.choose("#sample", str(sample))
            tab.wait_for(f"{SCORED} && document.querySelector('#busy').textContent === ''")
        tab.show_as(width, tab.height, scheme)
        tab.value("scrollTo(0, 0)")
        tab.picture(file)
    with Image.open(io.BytesIO(file.read_bytes())) as picture:
        picture.convert("RGB").quantize(128).save(file, optimize=True)


if __name__ == "__main__":
    address, file, *others = sys.argv[1:]
    scheme, width, sample = [*others, *("light", "1280", "1")[len(others) :]]
    take(address, Path(file), scheme, int(width), int(sample))
