"""What several experiments share and the library has no place for: data by name, training, tuning, figures."""

from experiments.workbench.figures import each as each
