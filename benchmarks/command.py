"""What the commands of benchmarks share: their parser, and what a file of figures says about the machine."""

import argparse
import os
import platform
import time
from typing import Any


def parser(module: str, text: str | None) -> argparse.ArgumentParser:
    """The parser of `python -m MODULE`, whose help begins with the module's docstring."""
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def machine() -> dict[str, Any]:
    """The processor, its cores, the load and the date."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "date": time.strftime("%Y-%m-%d"),
    }
