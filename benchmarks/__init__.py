"""Speed and memory beside what a user would pick instead. Not a part of the wheel."""
