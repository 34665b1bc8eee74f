"""The benchmark: this project, the floor under any asyncio RPC, and the peers, side by side in one run.

Run it with ``python -m tests.bench``; README.md here says what is measured and how to read it.
"""
