"""The command ``pb``. Each subcommand is a module here; pb.cli.main has the table of them."""
