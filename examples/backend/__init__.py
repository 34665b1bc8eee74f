"""A small backend: one login, three services over one connection.

    pb run examples/backend/server.py --store backend.db
    python -m examples.backend.client

`shop` has a basket for each user, which a restart does not empty; `chat` calls the clients back; `admin` is
only for those who have the key, and can throw people out.
"""
