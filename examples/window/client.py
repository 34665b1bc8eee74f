"""The window: `python -m examples.window.client [url]`."""

import signal
import sys
import tkinter
from collections.abc import Callable
from tkinter import ttk
from typing import Any

import pb
from examples.reconnect import shared
from pb import sync

NIGHT, PANEL, LINE, AMBER, PALE, GREY = "#10141c", "#171d28", "#2a3344", "#ffc247", "#e6eaf2", "#8b95a7"
GREEN, RED = "#4cc38a", "#f2555a"


def registry_for(tell: Callable[[str, dict[str, str]], None]) -> pb.Registry:
    """Return what admits the table of departures, which calls `tell` after each change.

    It does so in the thread of the connections, where updates come one after the other; so what is handed on
    is a copy, which nothing changes any more.
    """
    registry = pb.Registry()

    @registry.cacheable("station.Departures")
    class Departures(shared.Departures):
        def changed(self, field: str) -> None:
            tell(self.station, dict(self.trains))

    return registry


class Window:
    """The table, a light that says how the connection is, and a line to announce a train."""

    def __init__(self, window: tkinter.Tk, url: str) -> None:
        self.window = window
        self.gui = sync.Gui(window.after)
        self.connection: Any = None
        self.board: Any = None  # held: what nobody holds is not kept up to date
        self.rows: dict[str, tuple[tkinter.Label, tkinter.Label]] = {}
        self._draw()
        self.tell_state("looking for the station", AMBER)
        self.gui.open_connection(
            url,
            then=self.connected,
            failed=lambda error: self.tell_state(str(error), RED),
            registry=registry_for(lambda *news: self.gui.soon(self.show, *news)),
            reconnect=pb.Reconnect(max_s=2.0, retries_first=True),
        )

    # --- what the connection tells: all of it in this thread

    def connected(self, connection: Any) -> None:
        """Take the connection, and ask for the table."""
        self.connection = connection
        connection.status.watch(self.status_changed)
        self.tell_state("connected", GREEN)
        self.gui.run(
            lambda: connection.keep(connection.root.departures),
            then=self.take_board,
            failed=lambda error: self.tell_state(str(error), RED),
        )

    def status_changed(self, change: pb.Change) -> None:
        """Show whether the station is there. What is on the table stays."""
        if change.state is pb.ConnectionState.CONNECTED:
            self.tell_state("connected", GREEN)
        elif not change.state.is_final:
            self.tell_state(f"out of reach, {change.attempts} tries", AMBER)
        else:
            self.tell_state(str(change.error or "closed"), RED)

    def take_board(self, board: Any) -> None:
        """Take the replica, and show what it has by now."""
        self.board = board
        self.show(*sync.on_loop(lambda: (board.station, dict(board.trains))))

    def show(self, station: str, trains: dict[str, str]) -> None:
        """Bring the table up to date, and let light up what is new."""
        self.title["text"] = station
        for train in self.rows.keys() - trains.keys():
            for label in self.rows.pop(train):
                label.destroy()
        for place, (train, platform) in enumerate(sorted(trains.items())):
            if train not in self.rows:
                self.rows[train] = self._cell(train, "w"), self._cell("", "e")
            left, right = self.rows[train]
            left.grid(row=place, column=0, sticky="we")
            right.grid(row=place, column=1, sticky="e")
            if right["text"] != platform:
                right["text"] = platform
                for label in (left, right):
                    label["fg"] = PALE
                    self.window.after(1200, self._fade, label)
        if trains:
            self.empty.grid_forget()
        else:
            self.empty.grid(row=0, column=0, sticky="w")

    # --- what the user does

    def announce(self) -> None:
        """Tell the station; the call does not wait, and what comes of it comes back to this window."""
        train, platform = self.train.get().strip(), self.platform.get().strip()
        if self.connection is None or not train or not platform:
            self.tell("a train and its platform, please", AMBER)
            return
        self.tell(f"announcing {train} …", GREY)
        self.connection.root.announce(
            train,
            platform,
            pbcallback=lambda _: self.announced(train),
            pberrback=lambda error: self.tell(str(error), RED),
        )

    def announced(self, train: str) -> None:
        """Be ready for the next one."""
        self.tell(f"{train} is announced", GREY)
        self.train.delete(0, "end")
        self.platform.delete(0, "end")

    def close(self) -> None:
        """Leave, when the window is closed already."""
        self.gui.stop()
        if self.connection is not None:
            self.connection.close()

    # --- what it looks like

    def tell(self, text: str, colour: str) -> None:
        """Say something below the table."""
        self.said["text"], self.said["fg"] = text, colour

    def tell_state(self, text: str, colour: str) -> None:
        """Say how the connection is."""
        self.state["text"] = text
        self.light.itemconfigure("light", fill=colour)

    def _fade(self, label: tkinter.Label) -> None:
        if label.winfo_exists():
            label["fg"] = AMBER

    def _cell(self, text: str, side: str) -> tkinter.Label:
        font = ("DejaVu Sans Mono", 15)
        return tkinter.Label(
            self.table,
            text=text,
            bg=PANEL,
            fg=AMBER,
            font=font,
            anchor=side,
            padx=18,
            pady=5,  # type: ignore[arg-type]
        )

    def _draw(self) -> None:
        window = self.window
        window.title("Departures")
        window.configure(bg=NIGHT, padx=24, pady=20)
        window.minsize(480, 420)
        window.columnconfigure(0, weight=1)
        window.rowconfigure(1, weight=1)

        head = tkinter.Frame(window, bg=NIGHT)
        head.grid(row=0, column=0, sticky="we", pady=(0, 14))
        head.columnconfigure(0, weight=1)
        self.title = tkinter.Label(
            head, text="Departures", bg=NIGHT, fg=PALE, font=("DejaVu Sans", 20, "bold")
        )
        self.title.grid(row=0, column=0, sticky="w")
        self.state = tkinter.Label(head, bg=NIGHT, fg=GREY, font=("DejaVu Sans", 10))
        self.state.grid(row=0, column=1, padx=(0, 8))
        self.light = tkinter.Canvas(head, width=12, height=12, bg=NIGHT, highlightthickness=0)
        self.light.create_oval(1, 1, 11, 11, width=0, tags="light")
        self.light.grid(row=0, column=2)

        self.table = tkinter.Frame(window, bg=PANEL, pady=10, highlightthickness=1, highlightbackground=LINE)
        self.table.grid(row=1, column=0, sticky="nswe")
        self.table.columnconfigure(0, weight=1)
        self.empty = self._cell("no train is announced", "w")
        self.empty["fg"] = GREY

        style = ttk.Style(window)
        style.theme_use("clam")
        style.configure(
            "TEntry",
            fieldbackground=PANEL,
            foreground=PALE,
            bordercolor=LINE,
            lightcolor=LINE,
            darkcolor=LINE,
            insertcolor=PALE,
            padding=6,
        )
        style.configure("TButton", background=AMBER, foreground=NIGHT, borderwidth=0, padding=(16, 6))
        style.map("TButton", background=[("active", PALE)])
        line = tkinter.Frame(window, bg=NIGHT)
        line.grid(row=2, column=0, sticky="we", pady=(14, 4))
        line.columnconfigure(0, weight=3)
        line.columnconfigure(1, weight=1)
        self.train, self.platform = ttk.Entry(line), ttk.Entry(line, width=8)
        self.train.grid(row=0, column=0, sticky="we", padx=(0, 8))
        self.platform.grid(row=0, column=1, sticky="we", padx=(0, 8))
        self.button = ttk.Button(line, text="Announce", command=self.announce)
        self.button.grid(row=0, column=2)
        for entry in (self.train, self.platform):
            entry.bind("<Return>", lambda event: self.announce())
        self.said = tkinter.Label(window, bg=NIGHT, fg=GREY, font=("DejaVu Sans", 10), anchor="w")
        self.said.grid(row=3, column=0, sticky="we")
        self.tell("train and platform", GREY)


def main(url: str) -> None:
    try:
        window = tkinter.Tk()
    except tkinter.TclError as error:
        sys.exit(f"no window: {error}")
    signal.signal(signal.SIGINT, lambda number, frame: window.destroy())
    shown = Window(window, url)
    print("the window is open", flush=True)
    window.mainloop()
    shown.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8791")
