"""What both processes know: the one error that crosses as itself."""

import pb

registry = pb.Registry()


@registry.copyable("demo.OutOfTea")
class OutOfTea(pb.Error):
    """The kitchen has run out."""
