"""Processes that answer in JSON: what one side of a comparison runs in, once or for many requests."""

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


def answer(module, words, *, side, python=sys.executable, env=None):
    """The last line of `python -m MODULE WORDS` as JSON; None where it fails, with a line that says why.

    Args:
      module: the module.
      words: its arguments.
      side: what the line about a failure calls it.
      python: the interpreter.
      env: its environment; None is this process's.
    """
    done = subprocess.run(
        [python, "-m", module, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=env,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"{side}: {last}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])
