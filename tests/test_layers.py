"""Who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("bls", "client", "ensemble", "faults", "serving", "stages", "training")
MAY_IMPORT = {
    "stages": {"stages"},
    "bls": {"bls", "ensemble", "stages"},
    "ensemble": {"ensemble", "stages"},
    "serving": {"serving", "stages"},
    "training": {"training", "stages"},
    "client": {"client", "stages"},
    "faults": {"client", "faults", "serving", "stages"},
    "client/commands": set(PACKAGES),
    "model_repository": {"bls", "stages"},
}


def imported_packages(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names} & set(PACKAGES)


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_each_folder_imports_only_what_it_may(folder: str) -> None:
    files = [file for file in (ROOT / folder).rglob("*.py") if folder != "client" or "commands" not in file.parts]
    assert files
    for file in files:
        assert imported_packages(file) <= MAY_IMPORT[folder], file


def test_only_one_file_of_bls_knows_triton() -> None:
    knowing = [file.name for file in (ROOT / "bls").rglob("*.py") if "triton_python_backend_utils" in file.read_text()]
    assert knowing == ["calls.py"]
