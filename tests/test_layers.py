"""Who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "readability_triton"
FOLDERS = (
    "bench",
    "bls",
    "bulk",
    "cli",
    "client",
    "compare",
    "containers",
    "ensemble",
    "explain",
    "faults",
    "page",
    "serving",
    "stages",
    "training",
    "watch",
)
MAY_IMPORT = {
    "stages": set(),
    "ensemble": {"stages"},
    "serving": {"stages"},
    "training": {"stages"},
    "bls": {"ensemble", "stages"},
    "client": {"stages"},
    "bulk": {"client", "ensemble", "stages"},
    "compare": {"client"},
    "explain": {"client", "compare", "ensemble", "stages"},
    "containers": {"ensemble"},
    "page": {"bls", "client", "compare", "ensemble", "explain", "stages"},
    "bench": {"bulk", "client", "serving", "stages", "training"},
    "watch": set(),
    "faults": set(FOLDERS),
    "cli": set(FOLDERS),
    "model_repository": {"bls", "serving", "stages"},
}


def as_mermaid() -> str:
    """The picture for CONTRIBUTING.md: an arrow for each import that no other arrow implies."""
    lines = ["flowchart BT"]
    for folder, allowed in MAY_IMPORT.items():
        allowed = allowed - {folder, "cli", "faults"}
        if folder in ("cli", "faults"):
            lines.append(f"    {folder} --> anything([any folder])")
            continue
        implied = set().union(*(MAY_IMPORT[each] for each in allowed))
        lines += [f"    {folder} --> {each}" for each in sorted(allowed - implied)]
    return "\n".join(lines)


def imported_folders(file: Path) -> set[str]:
    """Our folders that a file imports from; the old, bare names count as ours."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}.")}
    bare = {name.partition(".")[0] for name in names} & set(FOLDERS)
    assert not bare, f"{file} imports {bare} by a bare name, not from {PACKAGE}"
    return ours


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_each_folder_imports_only_what_it_may(folder: str) -> None:
    files = [file for file in (ROOT / folder).rglob("*.py") if "templates" not in file.parts]
    assert files
    for file in files:
        assert imported_folders(file) <= MAY_IMPORT[folder] | {folder}, file


def test_the_picture_in_contributing_is_current() -> None:
    assert f"```mermaid\n{as_mermaid()}\n```" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_folder_of_the_package_has_a_place_in_the_picture() -> None:
    linked = {link.name for link in (ROOT / PACKAGE).iterdir() if link.is_symlink()}
    assert linked == set(MAY_IMPORT)
    assert all((ROOT / PACKAGE / name).resolve() == ROOT / name for name in linked)


def test_only_one_file_of_bls_knows_triton() -> None:
    files = [file for file in (ROOT / "bls").rglob("*.py") if "templates" not in file.parts]
    assert [file.name for file in files if "triton_python_backend_utils" in file.read_text()] == ["calls.py"]


if __name__ == "__main__":
    print(as_mermaid())
