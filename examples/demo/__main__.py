"""Make an identity, start the server and the client as two processes, show what they say, and end cleanly."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PB = [sys.executable, "-m", "pb"]


def main():
    with tempfile.TemporaryDirectory() as directory:
        return run(f"{directory}/identities.db")


def run(store):
    grants = ["--grant", "kitchen", "--grant", "larder"]
    add = [*PB, "identity", "add", "guest", "--stdin", *grants, "--store", store]
    subprocess.run(add, input="guest\n", stdout=subprocess.DEVNULL, text=True, check=True, timeout=60)
    print("an identity 'guest' was made, with a password and two keys, in an SQLite file")

    command = [*PB, "run", HERE / "server.py", "--store", store, "--listen", "pb://127.0.0.1:0"]
    quiet = ["--log-level", "warning"]
    with subprocess.Popen([*command, *quiet], stdout=subprocess.PIPE, text=True) as server:
        return run_client(server)


def run_client(server):
    try:
        line = server.stdout.readline().strip()
        if not line:
            return "the server did not start"
        print(f"server process {server.pid}: {line}")
        print("client process:")
        command = [sys.executable, "-m", "examples.demo.client", line.split()[-1]]
        client = subprocess.run(command, timeout=60)
    finally:
        server.send_signal(signal.SIGTERM)
        status = server.wait(timeout=60)
    print(f"server ended with status {status}, client with status {client.returncode}")
    return client.returncode or status


if __name__ == "__main__":
    sys.exit(main())
