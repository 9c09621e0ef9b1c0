"""A process that answers requests, a line of JSON each: what one side of a comparison runs in."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Threads of torch that wait for each other by spinning take up to ten times the time where a machine has
# other work: asleep they do not, and lose little where it has none.
PATIENT = {"OMP_WAIT_POLICY": "passive"}


class Side:
    """A process of one side, started when it is first asked, and again after it was stopped.

    Args:
      module: the module that answers, as `python -m` takes it.
      words: its arguments.
    """

    def __init__(self, module, *words):
        self.words, self.process = ["-m", module, *words], None

    def ask(self, *, patience=3600, **request):
        """The answer; {"stopped": why} if there is none within `patience` seconds."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, *self.words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=ROOT,
                env=PATIENT | os.environ,
            )
        ready = True
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            ready, _, _ = select.select([self.process.stdout], [], [], max(patience, 1))
            line = self.process.stdout.readline() if ready else ""
        except BrokenPipeError:
            line = ""
        if line:
            return json.loads(line)
        self.close()
        return {"stopped": "ended" if ready else f"over {patience:.0f} s"}

    def close(self):
        """Ends the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None
