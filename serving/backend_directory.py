"""Lay out a backend directory as Triton wants it: native backends, drop-ins, and the stub for this interpreter."""

import shutil
from pathlib import Path

from readability_triton.serving.runtime import Runtime


def lay_out(runtime: Runtime, folder: Path) -> Path:
    """Fill `folder` and return it.

    The Python backend is copied, 3 MB, because Triton refuses a library that a link takes out of its directory. Other
    native backends are linked as whole folders.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in runtime.backends.items():
        if name == "python" and runtime.stub is not None:
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copy2(runtime.stub, folder / name)
        elif runtime.is_drop_in(name):
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / name).symlink_to(source, target_is_directory=True)
    return folder
