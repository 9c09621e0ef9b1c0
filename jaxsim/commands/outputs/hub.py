"""`--push`: a written folder as a repository of the Hugging Face hub, checked before any work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jaxsim.storage._targets import MARK

LOGIN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"


def checked(name: str, *, public: bool) -> str:
    """Refuses a push that could not be done, before any work; returns the name with its owner.

    Args:
      name: of the repository: "owner/model", or "model" for the user's own.
      public: whether everybody may read it.

    Raises: ValueError without a token, for a token that the hub does not take, for a name that is none, and for a
    repository that is there and is not as private as was asked; OSError where the hub is not reached.
    """
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ValueError(f"--push must be the name of a repository, OWNER/NAME: {error}") from error
    if huggingface_hub.get_token() is None:
        raise ValueError(f"--push {name} needs a token of the hub, and there is none: {LOGIN}")
    hub = huggingface_hub.HfApi()
    with _reached(name):
        owner = hub.whoami()["name"]
        name = name if "/" in name else f"{owner}/{name}"
        try:
            private = hub.repo_info(name, repo_type="model").private
        except RepositoryNotFoundError:
            return name
    if private and public:
        raise ValueError(
            f"--public: {name} is on the hub and is private: leave the option out, or make it public there"
        )
    if not private and not public:
        raise ValueError(
            f"--push {name}: the repository is there and is public: give --public too, or another name"
        )
    return name


def push(folder: str | os.PathLike, name: str, *, public: bool, message: str) -> str:
    """Makes the repository where it is missing, and uploads a folder as one commit; returns its address.

    Args:
      folder: of the model.
      name: of the repository, with its owner.
      public: whether everybody may read it, where it is made.
      message: of the commit.

    Raises: OSError where the hub is not reached or does not take it; ValueError for a token that it does not take.
    """
    import huggingface_hub

    hub: Any = huggingface_hub.HfApi()
    with _reached(name):
        address = hub.create_repo(name, private=not public, exist_ok=True, repo_type="model")
        hub.upload_folder(
            repo_id=name, folder_path=folder, commit_message=message, ignore_patterns=[MARK]
        )
    return str(address)


@contextmanager
def _reached(name: str) -> Iterator[None]:
    """What the hub and its client say as one sentence."""
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise ValueError(f"--push {name} needs a token of the hub: {LOGIN}") from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise ValueError(
                f"--push {name}: the hub does not take the token ({status}): {LOGIN}"
            ) from error
        raise OSError(f"--push {name}: the hub answers {status}: {_line(error)}") from error
    except (ValueError, FileNotFoundError):
        raise
    except Exception as error:  # of whichever client of HTTP the package uses
        raise OSError(
            f"--push {name}: the hub is not reached ({type(error).__name__}: {_line(error)})"
        ) from error


def _line(error):
    return " ".join(str(error).split())[:200]
