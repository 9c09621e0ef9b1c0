"""The commands of `python -m jaxsim`, a module each; nothing imports them.

A command is a module here, `train` a package. What commands read, as options, tables, corpora and models, is in
`inputs`; what `train` fine-tunes is in `fine_tuning`.
"""
