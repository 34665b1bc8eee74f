"""What both processes know: the table of departures."""

from dataclasses import dataclass, field

import pb

registry = pb.Registry()


@registry.cacheable("station.Departures")
@dataclass
class Departures(pb.Tracked):
    """Which train leaves from which platform."""

    station: str = ""
    trains: dict[str, str] = field(default_factory=dict)

    def changed(self, field: str) -> None:
        """Say what the display shows. Runs at the displays only."""
        print(f"{field}:", getattr(self, field), flush=True)
