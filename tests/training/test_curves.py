from pathlib import Path
from xml.etree import ElementTree

import pytest

from readability_triton.training.curves import plot_curves
from readability_triton.training.run_folder import Epoch

FITS = ("fold-1-of-2", "fold-2-of-2", "all-rows")


def log(*fits: str) -> list[Epoch]:
    def epoch(fit: str, number: int) -> Epoch:
        train = 0.9 - number / 10 if number else None
        return Epoch(fit, number, train, None if fit == "all-rows" else 1 - number / 20, 1.0)

    return [epoch(fit, number) for fit in fits for number in range(4)]


def groups(path: Path, prefix: str) -> list[ElementTree.Element]:
    svg = "{http://www.w3.org/2000/svg}g"
    return [each for each in ElementTree.parse(path).iter(svg) if each.get("id", "").startswith(prefix)]


@pytest.mark.parametrize(("ending", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_the_ending_says_in_which_format_the_picture_is(tmp_path, ending, magic):
    plot_curves(log(*FITS), tmp_path / f"curves.{ending}")
    assert (tmp_path / f"curves.{ending}").read_bytes().startswith(magic)


def lines(path: Path) -> int:
    """Lines drawn straight into the axes; those of the grid and the legend lie in groups of their own."""
    return len([each for each in groups(path, "axes")[0] if each.get("id", "").startswith("line2d")])


def test_every_fit_has_a_line_in_training_and_one_held_out(tmp_path):
    counts = []
    for number in range(3):
        plot_curves(log(*FITS[:number]), tmp_path / "curves.svg")
        counts.append(lines(tmp_path / "curves.svg"))
    assert [count - counts[0] for count in counts] == [0, 2, 4]


def test_the_legend_names_the_fits_that_have_a_held_out_error(tmp_path):
    plot_curves(log(*FITS), tmp_path / "curves.svg")
    # Text is drawn as outlines, with what it says in a comment.
    reported = (tmp_path / "curves.svg").read_text()
    assert all(f"<!-- {text} -->" in reported for text in (*FITS[:2], "epoch", "RMSE"))
    assert "<!-- all-rows -->" not in reported


def test_the_same_log_is_drawn_the_same_to_the_byte(tmp_path):
    for name in ("one.svg", "two.svg"):
        plot_curves(log(*FITS), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_an_empty_log_and_one_without_held_out_errors_are_drawn_without_a_legend(tmp_path):
    for name, fits in (("empty.svg", ()), ("final.svg", ("all-rows",))):
        plot_curves(log(*fits), tmp_path / name)
        assert groups(tmp_path / name, "axes")
        assert not groups(tmp_path / name, "legend")
