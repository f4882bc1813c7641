"""Starts the real program for a test and stops it the way an operator would."""

import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

READY_S = 30
STOP_S = 12  # the program promises ten

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary() -> str:
    """The program under test: $CODITECT_BINARY, or the debug build."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return os.environ.get("CODITECT_BINARY", str(target / "debug" / "coditect"))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """The program, serving on 127.0.0.1:`port`, until the `with` block ends.

    `command` is run in `folder` with `env` added to the environment; what it prints goes to `log`.
    """

    def __init__(self, command, port, folder, env, log):
        self.command, self.url = command, f"http://127.0.0.1:{port}"
        self.folder, self.log = folder, pathlib.Path(log)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("CODITECT_")} | env
        self.process = None

    def __enter__(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.env, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def __exit__(self, *failed):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = f"not ended {STOP_S} s after SIGTERM"
        if code != 0 and failed[0] is None:
            raise AssertionError(f"the server's exit code is {code}, not 0:\n{self.log.read_text()[-4000:]}")

    def _wait_until_ready(self):
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(self.url + "/health/ready", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise AssertionError(f"the server is not ready:\n{self.log.read_text()[-4000:]}")
