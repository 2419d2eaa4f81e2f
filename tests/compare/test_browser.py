"""The report in a real browser: Chromium, as Debian's package `chromium` has it."""

import html
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from readability_triton.compare.page import as_html
from readability_triton.compare.summary import summarise

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE, DESK = 390, 1200
WINDOW = 1280, 3000
MEASURE = """<script>
const boxes = selector => [...document.querySelectorAll(selector)].map(each => each.getBoundingClientRect());
const shown = {
  width: document.documentElement.clientWidth,
  sheet: document.documentElement.scrollWidth,
  charts: boxes("figure svg").map(box => [box.left, box.right, box.height]),
  letters: boxes("figure svg text").map(box => box.height),
  backgrounds: [...document.querySelectorAll("figure svg")].map(
    svg => getComputedStyle(svg.querySelector("path")).fill),
  clipped: [...document.querySelectorAll("[clip-path]")].every(
    each => document.querySelector(each.getAttribute("clip-path").slice(4, -1))),
};
parent.document.title = "measured " + JSON.stringify(shown);
</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: Debian's package is chromium")


@pytest.fixture
def report(make_outcome, tmp_path) -> Path:
    outcome = make_outcome(labels=("ensemble_all", "bls_pipeline?policy=parallel"))
    environment = {"client_machine": "a machine", "gpu": [], "server": {"name": "triton", "version": "1"}}
    path = tmp_path / "report.html"
    path.write_text(as_html(outcome, summarise(outcome, 1e-5), ["a machine, no GPU"], environment))
    return path


def browse(page: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            f"--user-data-dir={page.parent / 'profile'}",
            "--window-size={},{}".format(*WINDOW),
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_charts_are_there_and_nothing_is_wider_than_the_screen(report, width):
    # A window is never as narrow as a phone; a frame can be.
    framed = html.escape(report.read_text().replace("</body>", MEASURE + "</body>"))
    page = report.with_name("framed.html")
    page.write_text(f'<!doctype html><iframe style="width: {width}px; height: 12000px; border: 0" srcdoc="{framed}">')
    found = browse(page, "--dump-dom")
    assert "CONSOLE" not in found.stderr
    shown = json.loads(re.search(r"<title>measured (.*?)</title>", found.stdout)[1].replace("&quot;", '"'))
    assert shown["sheet"] <= shown["width"] == width
    assert len(shown["charts"]) == 10
    for left, right, height in shown["charts"]:
        assert 0 <= left < right <= shown["width"]
        assert height > 100
    assert set(shown["backgrounds"]) == {"rgb(255, 255, 255)"}
    assert shown["clipped"]
    # CSS pixels: letters of eight or less cannot be read on a phone.
    assert min(shown["letters"]) > 8


def test_a_screenshot_is_not_blank(report):
    picture = report.with_suffix(".png")
    found = browse(report, f"--screenshot={picture}", "--hide-scrollbars")
    assert "CONSOLE" not in found.stderr
    data = picture.read_bytes()
    assert struct.unpack(">II", data[16:24]) == WINDOW
    assert len(data) > 50_000  # an empty page is a few thousand bytes
