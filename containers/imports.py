"""What Python files import, and the files of your own packages that they reach by it."""

import ast
import importlib.util
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

INSTALLED = ("site-packages", "dist-packages", "lib-dynload")


@cache
def parse(file: Path) -> ast.Module:
    """A file's syntax tree.

    Raises:
        OSError, SyntaxError: if it cannot be read.
    """
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def reached(files: Sequence[Path], when_loaded: bool = False) -> list[Path]:
    """The files, and those that they import, directly or not, of packages that lie outside site-packages here.

    Args:
        files: to begin with.
        when_loaded: leave out what only functions import.
    """
    found: dict[Path, None] = dict.fromkeys(files)
    waiting = list(files)
    while waiting:
        modules = _modules(parse(waiting.pop()), when_loaded)
        new = sorted({path for name in modules if (path := _own_file(name)) and path not in found})
        found |= dict.fromkeys(new)
        waiting += new
    return list(found)


def imported(files: Sequence[Path], when_loaded: bool = False) -> set[str]:
    """Top-level packages that files and what they reach import: anywhere, or when they are loaded."""
    trees = [parse(file) for file in reached(files, when_loaded)]
    return {name.partition(".")[0] for tree in trees for name in _modules(tree, when_loaded)}


def attributes_of(files: Sequence[Path]) -> frozenset[str]:
    """Names that files read as attributes, such as `exec` and `async_exec`."""
    nodes = (node for file in files for node in ast.walk(parse(file)))
    return frozenset(node.attr for node in nodes if isinstance(node, ast.Attribute))


def _modules(tree: ast.Module, when_loaded: bool) -> set[str]:
    nodes = _run_when_loaded(tree) if when_loaded else ast.walk(tree)
    return {name for node in nodes for name in _names(node)}


def _run_when_loaded(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _run_when_loaded(child)


def _names(node: ast.AST) -> list[str]:
    """Modules that a statement imports; of `from a import b`, which may be one, both `a` and `a.b`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _own_file(module: str) -> Path | None:
    top, *rest = module.split(".")
    folder = _own_package(top)
    if folder is None:
        return None
    path = folder.joinpath(*rest)
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if rest and each.is_file()), None)


@cache
def _own_package(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.origin)
    is_own = not any(part in INSTALLED for part in path.parts) and not path.is_relative_to(Path(ast.__file__).parent)
    return path.parent if is_own else None
