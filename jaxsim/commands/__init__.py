"""The commands of `python -m jaxsim`, a file each; nothing imports them."""
