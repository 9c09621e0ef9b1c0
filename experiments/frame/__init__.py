"""What runs experiments: the sweep over arms and seeds, verdicts, tables, the report, the command line."""
