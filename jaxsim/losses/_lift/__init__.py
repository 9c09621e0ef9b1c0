"""What losses are made of: lifters, blocks of scores, checks and reductions."""
