"""What experiments compare: encoders, judges, teachers, tables, and baselines without training."""
