"""What a result depends on: config, data, sources, versions, device. Equal identities give equal rows."""

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import subprocess
from types import ModuleType
from typing import Any

import jax

from experiments.frame import contract
from experiments.frame.sources import ROOT as ROOT, sources as sources
from jaxsim import storage

PACKAGES = ("jax", "jaxlib", "numpy", "flax", "optax", "scikit-learn")


def identity(module: ModuleType, config: Any) -> dict[str, Any]:
    """All that decides whether a stored row may be used again, as a JSON tree.

    The seed and the choice of arms are left out: they have folders and files of their own.
    """
    settings = dataclasses.asdict(config)
    settings.pop("seed"), settings.pop("arms")
    return json.loads(
        json.dumps(
            {
                "config": settings,
                "data": contract.checked_fingerprint(module, config),
                "sources": sources(contract.path_of(module)),
                "versions": versions(),
                "device": device(),
            }
        )
    )


def digest(tree: Any) -> str:
    """A short name for a JSON tree."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:12]


def differences(before: storage.Fields, now: dict[str, Any]) -> str:
    """What changed between two identities, in words: "steps 60, now 80"; sources by their names alone.

    Args:
      before: `storage.Fields` of an identity.json.
      now: the other identity.

    Raises: ValueError naming the file and the field where it is not an identity.
    """
    before = {
        "config": before.object("config").tree,
        "versions": before.texts("versions"),
        "sources": before.texts("sources"),
        "device": before.text("device"),
        "data": before.raw("data"),
    }
    flat = [
        {**one["config"], **one["versions"], "device": one["device"], **_data(one["data"])}
        for one in (before, now)
    ]
    then, here = before["sources"], now["sources"]
    files = [name for name in sorted({*then, *here}) if then.get(name) != here.get(name)]
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    parts = [storage.changed_settings(*flat)]
    parts += [f"other source: {', '.join(files[:3])}{more}"] if files else []
    return "; ".join(part for part in parts if part)


def _data(data: Any) -> dict[str, Any]:
    """The fingerprint of the data under a name that a reader knows, of a dict that of each part."""
    if isinstance(data, dict):
        return {f"the data's {name}": part for name, part in data.items()}
    return {"the data": data}


def versions() -> dict[str, str]:
    """What the numbers may depend on: the interpreter and the libraries that compute."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def device() -> str:
    """The kind and number of devices, as a name that a reader knows."""
    devices = jax.devices()
    return f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})"


def commit() -> str:
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
