"""Speed and memory compared with what a user would pick instead. Not a part of the wheel."""
