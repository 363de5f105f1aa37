"""Scripts in processes of their own, which can be watched and killed; they start within a moment: see warm_python."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

ONE_THREAD = {
    **os.environ,
    "OMP_NUM_THREADS": "1",  # their number changes the last bits
    "GAN_PIPELINES_SYSTEM_METRICS": "false",
}


class Process:
    """A script, or the code after ``-c``; what it prints goes into files. As a context, it is killed at the end."""

    def __init__(self, *arguments, folder=".", env=ONE_THREAD):
        self._scratch = tempfile.TemporaryDirectory()
        self._files = {name: Path(self._scratch.name) / name for name in ("stdout", "stderr")}
        streams = {name: str(path) for name, path in self._files.items()}
        self.pid = _ask(arguments=[str(word) for word in arguments], folder=str(folder), env=env, **streams)
        self._code = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self._scratch.cleanup()

    @property
    def stdout(self):
        return self._files["stdout"].read_text()

    @property
    def stderr(self):
        return self._files["stderr"].read_text()

    def await_text(self, text, times=1):
        """Wait until it has printed, to stdout or stderr, a text so many times."""
        deadline = time.monotonic() + 120
        while self._count(text) < times:
            assert time.monotonic() < deadline, self.stdout + self.stderr
            time.sleep(0.005)

    def _count(self, text):
        return sum(path.read_text().count(text) for path in self._files.values() if path.exists())

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """Kill it, if it has not been waited for, and return its exit code."""
        if self._code is None:
            self.send_signal(signal.SIGKILL)
        return self.wait()

    def wait(self):
        """Its exit code, which is minus the signal that has ended it."""
        if self._code is None:
            self._code = _ask(wait=self.pid)
        return self._code


def run(*arguments, folder=".", env=ONE_THREAD):
    with Process(*arguments, folder=folder, env=env) as process:
        return subprocess.CompletedProcess(arguments, process.wait(), process.stdout, process.stderr)


def _ask(**request):
    server = _server()
    print(json.dumps(request), file=server.stdin, flush=True)
    return int(server.stdout.readline())


@cache
def _server():
    """One such process for all tests of this one; it ends when its stdin does."""
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("warm_python.py")],
        env=ONE_THREAD,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # what stops pytest does not stop it before its children
    )
    atexit.register(server.communicate)
    assert server.stdout.readline() == "ready\n"
    return server
