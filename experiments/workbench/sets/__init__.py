"""What experiments learn from and are asked: data by name, pairs, lists, grades and how they are drawn."""
