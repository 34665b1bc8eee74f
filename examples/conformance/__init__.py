"""The conformance object, and a server and a client that publish it to `pb conformance`."""
