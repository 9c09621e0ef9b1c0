"""What a result depends on: config, data, sources, versions, device. Equal identities give equal rows."""

import ast
import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import subprocess
from pathlib import Path

import jax

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("jax", "jaxlib", "numpy", "flax", "optax", "scikit-learn")


def identity(module, config):
    """All that decides whether a stored row may be used again, as a JSON tree.

    The seed and the choice of arms are left out: they have folders and files of their own.
    """
    settings = dataclasses.asdict(config)
    settings.pop("seed"), settings.pop("arms")
    return json.loads(
        json.dumps(
            {
                "config": settings,
                "data": module.fingerprint(config),
                "sources": sources(Path(module.__file__)),
                "versions": versions(),
                "device": device(),
            }
        )
    )


def digest(tree):
    """A short name for a JSON tree."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:12]


def differences(one, other, prefix=""):
    """The paths at which two JSON trees differ, as sentences."""
    found = []
    for name in sorted(set(one) | set(other)):
        a, b = one.get(name), other.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, f"{prefix}{name}.")
        elif a != b:
            shown = "" if prefix.startswith("sources") else f" ({b!r} then, {a!r} now)"
            found.append(f"{prefix}{name}{shown}")
    return found


def sources(entry):
    """{file: hash} of a file of this repository and all of jaxsim and experiments that it imports."""
    files, queue = {}, [Path(entry), ROOT / "experiments/runner.py"]
    while queue:
        path = queue.pop()
        # An experiment may be anybody's file: it stands under its own name.
        name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
        if name in files:
            continue
        text = path.read_text(encoding="utf-8")
        files[name] = hashlib.sha256(text.encode()).hexdigest()[:12]
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                queue += [p for a in node.names for p in _files_of(a.name)]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                queue += _files_of(node.module)
                queue += [p for a in node.names for p in _files_of(f"{node.module}.{a.name}")]
    return dict(sorted(files.items()))


def _files_of(module):
    """The file of a module of ours, with the __init__ files of its parents; none of anybody else's."""
    parts = module.split(".")
    if parts[0] not in ("jaxsim", "experiments"):
        return []
    found = [ROOT.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    found.append(ROOT.joinpath(*parts).with_suffix(".py"))
    return [p for p in found if p.is_file()]


def versions():
    """What the numbers may depend on: the interpreter and the libraries that compute."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def device():
    """The kind and number of devices, as a name that a reader knows."""
    devices = jax.devices()
    return f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})"


def commit():
    """The commit checked out, marked where files differ from it; recorded, never compared."""
    try:
        name, changed = (
            subprocess.run(
                ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout.strip()
            for words in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}, changed" if changed else name
