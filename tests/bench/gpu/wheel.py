"""Small wheels, and an index of them in place of the network."""

import base64
import ensurepip
import hashlib
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from readability_triton.bench.gpu import pack

LOCK = "click==99.0\nmypy==1.0\nnumpy==1.26.4\npandas==3.0.6\ntorch==2.13.0\n"
PROJECT = """
[project]
name = "some"
[project.optional-dependencies]
gpu = ["cudf-cu13==26.6.*", "cuml-cu13==26.6.*"]
"""


def write_wheel(
    folder: Path, name: str, version: str, files: Mapping[str, str] | None = None, needs: Iterable[str] = ()
) -> Path:
    """A wheel for any Python; by default with one module, which says its version."""
    contents = dict(files or {f"{name}.py": f'__version__ = "{version}"\n'})
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {each}\n" for each in needs)
    contents[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
    contents[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = [f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in contents.items()]
    contents[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"])
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class Index:
    """What pip finds: a project as ours is, in small, with a lock and an extra for a GPU."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        (folder / "project").mkdir(parents=True)
        (folder / "project" / "requirements.lock").write_text(LOCK)
        (folder / "project" / "pyproject.toml").write_text(PROJECT)
        monkeypatch.setattr(pack, "ROOT", folder / "project")
        for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(folder), "CONFIG_FILE": "/dev/null"}.items():
            monkeypatch.setenv(f"PIP_{name}", value)
        (bundled,) = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
        shutil.copy2(bundled, folder)
        self.pip = bundled.name.split("-")[1]
        monkeypatch.setattr(pack, "own_pip", lambda: self.pip)
        for name, version in (("click", "99.0"), ("numpy", "1.26.4"), ("pandas", "3.0.6"), ("pandas", "2.3.3")):
            self.add(name, version)
        self.add("nvidia_nvrtc", "13.0")
        self.add("cachetools", "1.0")
        self.add("torch", "2.13.0", ["nvidia-nvrtc==13.0"])
        self.add("cudf_cu13", "26.6.0", ["pandas<2.4", "nvidia-nvrtc==13.*", "numpy<3", "cachetools"])

    def add(self, name: str, version: str, needs: Iterable[str] = ()) -> None:
        """One more wheel."""
        write_wheel(self.folder, name, version, None, needs)
