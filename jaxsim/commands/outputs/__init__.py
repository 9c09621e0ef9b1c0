"""What commands write: files, and next to a model its card and where it is pushed."""
