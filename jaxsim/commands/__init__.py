"""The commands of `python -m jaxsim`, a module each; nothing imports them.

A command is a module here, `train` a package, and a module of its name in `options`, which reads what was typed before
the command is loaded. What commands read, as tables, corpora and models, is in `inputs`; what they write in `outputs`;
what `train` fine-tunes is in `fine_tuning`.
"""
