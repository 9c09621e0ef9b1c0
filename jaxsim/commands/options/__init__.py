"""What may be typed: a module for each command, whose `parsed` reads and checks its options.

Nothing here loads jax, numpy or a room of jaxsim: help and refusals come at once.
"""
