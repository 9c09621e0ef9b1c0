"""The sources that an experiment's rows depend on, so that a row is reused only where none has changed.

A file counts with all that it imports. Of a package that only re-exports (a docstring and imports from
other files, as the rooms' `__init__` are) those names count that are used: `from jaxsim import losses` with
`losses.info_nce` is the file of `info_nce` and the line that says where it is, not every loss. Where it is
not plain which names are used (the package is passed on, or imported as `import jaxsim.losses`), all are.
"""

import ast
import functools
import hashlib
from pathlib import Path

from experiments.frame.places import ROOT as ROOT

OURS = ("jaxsim", "experiments")


def sources(entry: Path) -> dict[str, str]:
    """{file: hash} of an experiment's file and all that it imports of jaxsim, experiments and its own folder.

    A package that only re-exports has the hash of the names that are used.
    """
    entry = Path(entry).resolve()
    walk = _Walk(entry.parent)
    for path in (entry, ROOT / "experiments/runner.py"):
        walk.read(path)
    return dict(sorted(walk.hashes().items()))


class _Walk:
    """Follows imports from file to file; `folder` is that of an experiment which may be anybody's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[Path, ast.Module] = {}  # that count as a whole
        self.names: dict[
            Path, set[str]
        ] = {}  # of packages that only re-export: "losses.nca = file.nca"
        self.followed: set[tuple] = set()

    def hashes(self) -> dict[str, str]:
        found = {path: path.read_text(encoding="utf-8") for path in self.files}
        for path, lines in self.names.items():
            found.setdefault(path, "\n".join(sorted(lines)))
        return {
            str(path.relative_to(ROOT if path.is_relative_to(ROOT) else self.folder)): (
                hashlib.sha256(text.encode()).hexdigest()[:12]
            )
            for path, text in found.items()
        }

    def read(self, path: Path) -> None:
        """Counts a file as a whole, with what it imports."""
        if path in self.files:
            return
        tree = self.files[path] = _parsed(path)
        used = _used(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.whole(alias.name)
                    self._all_of(alias.name)
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                for alias in node.names:
                    # A name without any use may be used from outside: None is every name in it.
                    attributes = used.get(alias.asname or alias.name)
                    self.follow(node.module, alias.name, attributes or None)

    def whole(self, module: str) -> None:
        """Counts a module, or a package with all that it re-exports, and the packages around it."""
        self._parents(module)
        if path := self._file(module):
            self.read(path)

    def follow(self, module: str, name: str, attributes: frozenset[str] | None) -> None:
        """Counts what `from module import name` gives, of which `attributes` are used; None: all are."""
        key = module, name, attributes
        if key in self.followed or not (self._file(module) or self._file(f"{module}.{name}")):
            return
        self.followed.add(key)
        path, inner = self._file(module), self._file(f"{module}.{name}")
        bound = self._bound(module, name) if name != "*" else None
        if bound == (module, name):  # `from room import inner` in the room itself
            bound = None
        if inner:  # a module of the package
            self._parents(f"{module}.{name}")
            self._follow_module(f"{module}.{name}", inner, attributes)
            if bound:  # or what has taken its name
                self.whole(module)
                self.follow(*bound, attributes)
        elif bound and path and _only_re_exports(_parsed(path)):
            self._parents(module)
            self.names.setdefault(path, set()).add(f"{name} = {'.'.join(bound)}")
            self.follow(*bound, attributes)
        else:  # a file's own name, or none that we know
            self.whole(module)
            if bound:  # imported there, and passed on from there
                self.follow(*bound, attributes)
            elif name == "*":
                self._all_of(module)

    def _follow_module(self, module: str, path: Path, attributes: frozenset[str] | None) -> None:
        plain = path.name == "__init__.py" and _only_re_exports(_parsed(path))
        if not plain:
            self.read(path)
        known = attributes is not None
        for name in attributes or ():
            if self._bound(module, name) or self._file(f"{module}.{name}"):
                self.follow(module, name, None)
            else:
                known = known and not plain
        if not known:
            self.read(path)
            self._all_of(module)

    def _all_of(self, module: str) -> None:
        """Counts everything that a module has from elsewhere."""
        if path := self._file(module):
            for node in _imports(_parsed(path)):
                for alias in node.names:
                    self.follow(node.module or "", alias.name, None)

    def _bound(self, module: str, name: str) -> tuple[str, str] | None:
        """(module, name) that a name of a module is imported from; None where it is not, or elsewhere."""
        path = self._file(module)
        for node in reversed(_imports(_parsed(path))) if path else ():
            for alias in reversed(node.names):
                source = node.module or ""
                if (alias.asname or alias.name) == name:
                    return source, alias.name
                if alias.name == "*" and self._has(source, name):
                    return source, name
        return None

    def _has(self, module: str, name: str) -> bool:
        """Whether `from module import *` gives a name."""
        path = self._file(module)
        if path is None or name.startswith("_"):
            return False
        return bool(self._bound(module, name)) or name in _defined(_parsed(path))

    def _parents(self, module: str) -> None:
        """Counts the packages around a module, which are run too, but for those that only re-export."""
        parts = module.split(".")
        for end in range(1, len(parts)):
            path = self._file(".".join(parts[:end]))
            if path and not _only_re_exports(_parsed(path)):
                self.read(path)

    def _file(self, module: str) -> Path | None:
        """The file of a module or package of ours; None of anybody else's."""
        parts = module.split(".")
        place = (ROOT if parts[0] in OURS else self.folder).joinpath(*parts)
        files = (place / "__init__.py", place.with_suffix(".py"))
        return next((path for path in files if path.is_file()), None) if module else None


def _parsed(path: Path) -> ast.Module:
    return _tree(path, path.stat().st_mtime_ns, path.stat().st_size)


@functools.lru_cache(maxsize=2000)
def _tree(path: Path, changed: int, size: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _imports(tree: ast.Module) -> list[ast.ImportFrom]:
    """Every `from x import y` of a file, in order."""
    nodes = ast.walk(tree)
    return [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module and n.level == 0]


@functools.cache
def _only_re_exports(tree: ast.Module) -> bool:
    """Whether a file is a docstring and imports from elsewhere, and no more."""
    return all(
        (isinstance(node, ast.ImportFrom) and node.level == 0)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in tree.body
    )


@functools.cache
def _defined(tree: ast.Module) -> set[str]:
    """Names that a file gives to what it makes."""
    nodes = list(ast.walk(tree))
    made = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    names = {node.name for node in nodes if isinstance(node, made)}
    return names | {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


@functools.cache
def _used(tree: ast.Module) -> dict[str, frozenset[str] | None]:
    """{name: the attributes of it that a file uses}, None where the name itself is used as a value."""
    attributes: dict[str, set[str] | None] = {}
    inner = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            inner.add(id(node.value))
            found = attributes.setdefault(node.value.id, set())
            if found is not None:
                found.add(node.attr)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and id(node) not in inner:
            attributes[node.id] = None
    return {n: None if found is None else frozenset(found) for n, found in attributes.items()}
