"""tfds builders: data sets that the catalog lacks, in array_record form, built without TensorFlow.

Imports tensorflow-datasets; reached through jaxsim.data._sources, which does so when asked.
"""

import logging
import os
from pathlib import Path

import tensorflow_datasets as tfds

from jaxsim.data import _corpus as corpus

LOG = logging.getLogger("jaxsim")


class JaxsimDocstrings(tfds.core.GeneratorBasedBuilder):
    """Summary lines of docstrings and the bodies below them, from installed packages."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012 (tfds wants a list)
        tfds.core.BuilderConfig(name="all", description="All packages, at most 8,000 pairs."),
        tfds.core.BuilderConfig(name="small", description="A few folders, for tests."),
    ]

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    name: tfds.features.Text()
                    for name in ("query", "document", "name", "package", "path")
                }
            ),
            supervised_keys=("query", "document"),
        )

    def _split_generators(self, dl_manager):
        splits = corpus.pairs(small=self.builder_config.name == "small")
        return {split: self._generate_examples(rows) for split, rows in splits.items()}

    def _generate_examples(self, rows):
        # Keys that sort as the rows do: tfds shuffles by a hash of them, the same everywhere.
        yield from ((f"{place:06d}", row) for place, row in enumerate(rows))

    def _log_download_bytes(self):
        """In the place of tfds' message, which speaks of a download."""
        LOG.info(
            "docstrings of installed packages: made into a corpus, once, which takes some seconds"
        )

    def _log_download_done(self):
        """Nothing: what comes next says that this is done."""


def build(folder: str | os.PathLike, config: str) -> Path:
    """Writes the docstrings corpus into a folder, for `tfds.builder_from_directory`.

    Returns: the folder that holds it.
    """
    # jaxsim is quiet: tfds' own bars would run through those of whoever asked for the data.
    tfds.disable_progress_bar()
    builder = JaxsimDocstrings(data_dir=folder, config=config, file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(compute_stats="skip", try_download_gcs=False)
    )
    return builder.data_path
