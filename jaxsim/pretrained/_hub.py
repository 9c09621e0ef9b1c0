"""Downloads from the Hugging Face hub, where asked."""

import os
from pathlib import Path

WANTED = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*.md")
UNWANTED = ("onnx/*", "openvino/*", "*.onnx")


def fetched(path_or_name: str | os.PathLike, download: bool) -> Path:
    """Downloads a model where asked, and returns its folder.

    Args:
      path_or_name: a folder, or a name such as "sentence-transformers/all-MiniLM-L6-v2".
      download: whether a name may be fetched; what was fetched before is not fetched again.

    Raises: FileNotFoundError for no folder where nothing may be fetched; OSError where the hub cannot
    be reached or has no such name.
    """
    named = isinstance(path_or_name, (str, os.PathLike)) and str(path_or_name).strip()
    if not named or "\0" in str(path_or_name):
        raise ValueError(f"path_or_name must be a folder or a model's name, got {path_or_name!r}")
    folder = Path(path_or_name)
    try:
        is_folder = folder.is_dir()
    except (OSError, ValueError) as error:  # too long for the system, or with a null byte
        raise ValueError(f"path_or_name={path_or_name!r:.80} is not a path: {error}") from error
    if is_folder:
        return folder
    if folder.exists():
        raise FileNotFoundError(f"{folder}: must be a folder, and is a file")
    if not download:
        raise FileNotFoundError(
            f"{path_or_name}: there is no such folder; to fetch a model of that name from the hub "
            "pass download=True"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ImportError(
            "download=True needs huggingface_hub: install jaxsim-similarity[pretrained]"
        ) from error
    try:
        got = snapshot_download(
            str(path_or_name), allow_patterns=list(WANTED), ignore_patterns=list(UNWANTED)
        )
    except Exception as error:  # its classes differ by version and cause
        raise OSError(
            f"{path_or_name}: could not be fetched ({type(error).__name__}: {error}). Without a network, "
            "copy the model's folder from a machine that has one and pass its path"
        ) from error
    return Path(got)
