"""Where cred and the broker meet: logging in, services and perspectives over a connection.

cred knows nothing of connections, and the broker nothing of users. Spec: spec/9-login.md.
"""
