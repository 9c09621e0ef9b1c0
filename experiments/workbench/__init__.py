"""Tasks that several papers share: their data and the models that they train on it."""
