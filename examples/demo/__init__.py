"""Two processes over TCP: a login, two services, and what a call can do. Start it with `make demo`."""
