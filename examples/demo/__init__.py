"""Two processes over TCP: what a remote call can do, in one minute's reading. Start it with `make demo`."""
