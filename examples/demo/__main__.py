"""Start the server and the client as two processes, show what they say, and end cleanly."""

import signal
import subprocess
import sys


def main():
    command = [sys.executable, "-m", "examples.demo.server", "pb://127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        return run_client(server)


def run_client(server):
    try:
        url = server.stdout.readline().strip()
        if not url:
            return "the server did not start"
        print(f"server process {server.pid} listens at {url}")
        print("client process:")
        client = subprocess.run([sys.executable, "-m", "examples.demo.client", url], timeout=60)
    finally:
        server.send_signal(signal.SIGINT)
        status = server.wait(timeout=60)
    print(f"server ended with status {status}, client with status {client.returncode}")
    return client.returncode or status


if __name__ == "__main__":
    sys.exit(main())
