"""Runs every command of README.md and of the handbook's nine steps as written, in order, each against a fresh server.

Each fenced `sh` block is run. A block that ends in `cargo run --release` is the first terminal: it starts the
server, and the next such block stops it (Ctrl-C) and starts it again. All other blocks are the second terminal: one
shell. Only three things differ from a reader's terminals: `cargo run` starts the program that is built already, the
port is a free one, and the folder is a new one. The block that runs all tests is left to who runs this.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

from server import ROOT, Server, binary, free_port

ADDRESS = "127.0.0.1:8750"
START = "cargo run --release"
ALL_TESTS = "tests/all.sh"

# `exec`: the shell becomes the server, so that a signal reaches it.
TERMINAL_1 = 'set -euo pipefail; cargo() { [ "$*" = "run --release" ] && exec "$CODITECT_UNDER_TEST"; }\n'
TERMINAL_2 = "set -euo pipefail\n"

# The program that the second terminal finds under `target/release`: it holds seats of the server under test, which is
# not on the usual port.
PROGRAM = """#!/bin/sh
case "$1 $2" in
  'seat run' | 'seat status') what=$2; shift 2; exec {binary} seat "$what" --server {url} "$@" ;;
  *) exec {binary} "$@" ;;
esac
"""


def blocks(text):
    """The fenced `sh` blocks, each with the line it begins on."""
    for found in re.finditer(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, found.start()) + 2, found.group(1)


def second_terminal(found, folder):
    """Runs blocks in one shell; says which one failed."""
    script = TERMINAL_2
    for line, block in found:
        script += f"echo '--- line {line}'\n{block}\n"
    done = subprocess.run(["bash", "-c", script], cwd=folder, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        sys.exit(f"a command of the block named last ended with {done.returncode}")


def run(document):
    """Runs the blocks of one document; how many there were."""
    port = free_port()
    text = document.read_text().replace(ADDRESS, f"127.0.0.1:{port}")
    sessions = []  # each: the block that starts the server, and what the second terminal does meanwhile
    for line, block in blocks(text):
        if block.strip() == ALL_TESTS:
            continue
        if block.strip().endswith(START):
            sessions.append((block, []))
        else:
            sessions[-1][1].append((line, block))
    if not any(found for _, found in sessions):
        sys.exit(f"{document.name} has no commands")
    with tempfile.TemporaryDirectory(prefix="coditect-readme-") as folder:
        # The reader's Python packages are there already, so that a second run needs no network.
        pathlib.Path(folder, ".venv").symlink_to(ROOT / ".venv")
        program = pathlib.Path(folder, "target", "release", "coditect")
        program.parent.mkdir(parents=True)
        program.write_text(PROGRAM.format(binary=os.path.abspath(binary()), url=f"http://127.0.0.1:{port}"))
        program.chmod(0o755)
        env = {"CODITECT_LISTEN": f"127.0.0.1:{port}", "CODITECT_UNDER_TEST": os.path.abspath(binary())}
        log = pathlib.Path(folder, "server.log")
        for start, found in sessions:
            with Server(["bash", "-c", TERMINAL_1 + start], port, folder, env, log):
                second_terminal(found, folder)
    return sum(1 + len(found) for _, found in sessions)


def main():
    for document in [ROOT / "README.md", ROOT / "assets" / "handbook" / "nine-steps.md"]:
        print(f"--- {document.name}", flush=True)
        print(f"--- {document.name}: ran {run(document)} blocks", flush=True)


main()
