"""What several experiments share and the library has no place for: data by name, training, tuning, figures."""

from experiments.workbench.measures.figures import each as each
