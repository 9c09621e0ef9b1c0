"""Small files of a run, in a folder or on an object store."""

from etils import epath

from jaxsim import storage


def is_local(path):
    """Whether a path is on a file system; otherwise it has a scheme, such as gs://."""
    return "://" not in str(path)


def write_text(path, text):
    """Writes a file whole: aside and renamed on a file system, in one request on an object store."""
    if is_local(path):
        storage.write_text(path, text)
    else:
        path = epath.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
