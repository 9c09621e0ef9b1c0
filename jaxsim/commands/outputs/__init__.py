"""What commands write next to a model: its card, and where it is pushed."""
