"""What both processes know: what looking at a thing tells, and the one error that crosses as itself."""

from dataclasses import dataclass
from typing import Annotated

import jelly
import pb

registry = pb.Registry()


@registry.copyable("gameroom.Sight")
@dataclass
class Sight:
    """What one sees. A player who is no wizard is sent no runes; jelly.HIDDEN stands in their place."""

    text: str
    runes: Annotated[str, jelly.visible_to("wizard")] = ""


@registry.copyable("gameroom.NotNow")
class NotNow(pb.Error):
    """The room does not let a player do that."""
