"""The asyncio face: sockets, tasks and clocks around the sans-I/O core. Its names are those of `pb`."""
