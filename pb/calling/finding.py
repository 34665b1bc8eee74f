"""From an object and the name that a peer says to what is run, or to why nothing is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..dispatch import find_method, why_nothing
from ..errors import NoSuchMethod
from .why import log_no_method

if TYPE_CHECKING:
    from ..holding.export import Export
    from .reserved import Reserved


# For people: what most of those forgot who read it.
_LOG_IN: Final = "nobody has logged in over this connection yet: log in first, connection.login(...)"


class Finding:
    """What `Serving` knows of methods and their names."""

    __slots__ = ()

    if TYPE_CHECKING:
        reserved: Reserved

    def find(self, export: Export, method: str) -> tuple[Any, BaseException | None]:
        """Return what a call on an object runs, or why it is refused; neither for one that is passed on."""
        if not export.prefix:
            return None, why_nothing(export, method)
        try:
            return find_method(export.object, export.prefix, method), None
        except BaseException as error:  # the object's own __getattr__ may raise anything
            return self.find_reserved(export, method, error)

    def find_reserved(
        self, export: Export, method: str, error: BaseException
    ) -> tuple[Any, BaseException | None]:
        """Return the method of the specification that has this name, or the error that there is none."""
        if type(error) is not NoSuchMethod:
            return None, error
        if ":" in method:
            function = self.reserved.find(export, method)
            if function is not None:
                return function, None
        else:
            log_no_method(export, method, error, self.reserved)
        # Of every name alike, there or not: nothing is told of what there is behind the login.
        return None, NoSuchMethod(f"{error}; {_LOG_IN}") if self.reserved.is_asked_by_stranger else error
