"""A table against two servers, one of which dies twice; the benchmark beside it does the same with 100,000 rows."""

from pathlib import Path

from readability_triton.bench.two_servers import KILLED_AT, score_with_deaths

N_ROWS = 12_000


def test_every_row_comes_back_once_in_order_and_right_while_a_server_dies_twice(tmp_path: Path) -> None:
    found = score_with_deaths(N_ROWS, tmp_path)
    assert len(found.killed_after) == len(KILLED_AT)
    assert all(0 < at < N_ROWS for at in found.killed_after)
    assert (found.rows, found.in_order, found.wrong) == (N_ROWS, True, 0)
