"""Memory of a process and of all that it started, as proportional set sizes: a shared page counts once in their sum."""

from pathlib import Path

PROC = Path("/proc")


def memory_of(pid: int) -> int:
    """Bytes of a process and of its descendants together."""
    return sum(memory_by_process(pid).values())


def memory_by_process(pid: int) -> dict[int, int]:
    """Bytes of a process and of each of its descendants, by process id; 0 for one that has ended meanwhile."""
    parents = {int(stat.parent.name): _parent(stat) for stat in PROC.glob("[0-9]*/stat")}
    return {each: _proportional_size(each) for each in parents if _descends(each, pid, parents)}


def _descends(process: int, ancestor: int, parents: dict[int, int | None]) -> bool:
    above: int | None = process
    while above not in (ancestor, None):
        above = parents.get(above or 0)
    return above == ancestor


def _parent(stat: Path) -> int | None:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended meanwhile
        return None


def _proportional_size(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
