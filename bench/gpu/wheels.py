"""Wheels for a Python 3.12 on another machine: which ones, fetching them, and leaving out what is not needed there."""

import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

PYTHON = "3.12"
GLIBC_MINORS = range(35, 4, -1)
"""Wheels for glibc 2.35, that of Ubuntu 22.04, and older ones."""

Versions = dict[str, str]
"""Normalised names of packages and their versions."""

NOT_NEEDED: Mapping[str, tuple[str, ...]] = {
    "*": ("*/tests/*",),
    "lib*-cu13": ("*/include/*", "*/cmake/*", "*.a"),
    "nvidia-pytriton": tuple(
        f"*/python_backend_stubs/{version}/*" for version in ("3.8", "3.9", "3.10", "3.11", "3.13")
    ),
}
"""By package: files that neither a server nor a test on a GPU reads. CuPy and NVRTC need CUDA's own headers."""


class WheelsError(RuntimeError):
    """pip cannot resolve or fetch."""


def read_versions(text: str) -> Versions:
    """Of `name==version` lines, such as a lock's or `pip freeze`'s; others are left out, and so is a `+cu130`."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;+]+)", text, re.MULTILINE)
    return {normalised(name): version for name, version in found}


def normalised(name: str) -> str:
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def resolve(requirements: Iterable[str], constraints: Versions) -> Versions:
    """What pip would install there for `requirements`, and of which versions.

    Raises:
        WheelsError: if they do not fit together.
    """
    with TemporaryDirectory() as folder:
        report, limits = Path(folder) / "report.json", Path(folder) / "constraints.txt"
        limits.write_text("".join(f"{name}=={version}\n" for name, version in constraints.items()), encoding="utf-8")
        _pip(
            *("install", "--dry-run", "--ignore-installed", "--target", folder, "--report", str(report)),
            *("--constraint", str(limits), *_target(), *requirements),
        )
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {normalised(each["metadata"]["name"]): each["metadata"]["version"] for each in installed}


def fetch(versions: Versions, folder: Path) -> None:
    """Download just these wheels, and thin them.

    Raises:
        WheelsError: if there is none for the other machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not versions:
        return
    pins = [f"{name}=={version}" for name, version in versions.items()]
    _pip("download", "--no-deps", "--dest", str(folder), *_target(), *pins)
    for wheel in sorted(folder.glob("*.whl")):
        thin(wheel)


def thin(wheel: Path) -> None:
    """Leave out what `NOT_NEEDED` names for its package, also in its RECORD; a wheel that has none of it stays."""
    package = normalised(wheel.name.split("-")[0])
    patterns = [pattern for name, few in NOT_NEEDED.items() if fnmatch(package, name) for pattern in few]
    with zipfile.ZipFile(wheel) as whole:
        dropped = {name for name in whole.namelist() if any(fnmatch(name, pattern) for pattern in patterns)}
        if not dropped:
            return
        thinned = wheel.with_suffix(".thin")
        with zipfile.ZipFile(thinned, "w", zipfile.ZIP_DEFLATED) as kept:
            for member in whole.infolist():
                if member.filename in dropped:
                    continue
                data = whole.read(member)
                is_record = member.filename.endswith(".dist-info/RECORD")
                kept.writestr(member, _without(data, dropped) if is_record else data)
    thinned.replace(wheel)


def _without(record: bytes, dropped: set[str]) -> bytes:
    rows = [row for row in csv.reader(io.StringIO(record.decode())) if row and row[0] not in dropped]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _target() -> list[str]:
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in GLIBC_MINORS]
    platforms += [f"manylinux{year}_x86_64" for year in ("2014", "2010", "1")]
    options = ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
    return [*options, *(option for name in platforms for option in ("--platform", name))]


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise WheelsError("\n".join(errors) or done.stderr.strip() or f"pip ended with {done.returncode}")
