"""How experiments train: one way to fit, tuning, and losses that comparisons need beyond the library's."""
