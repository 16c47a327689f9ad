"""What handlers do when a run ends, also when it ends by an error or by Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from ignite.engine import Engine, Events

AtTheEnd = Callable[[Any, BaseException | None], None]

_ASKED = "_all_were_asked"
_ENDS: WeakKeyDictionary[Engine, list[AtTheEnd]] = WeakKeyDictionary()


def at_the_end(engine: Engine, do: AtTheEnd) -> None:
    """Have something done when a run of the engine ends.

    Ignite takes an error as handled once a handler has seen it, so the first one that raises it again keeps the others
    from seeing it. Here all are asked, and then the error is raised.

    Args:
        engine: whose run it is.
        do: takes the engine and the error that ended the run, or None. What it raises takes the place of that error.
    """
    if engine not in _ENDS:
        _ENDS[engine] = []
        engine.add_event_handler(Events.EXCEPTION_RAISED, _after_an_error)
    _ENDS[engine].append(do)
    engine.add_event_handler(Events.COMPLETED, do, None)


def _after_an_error(engine: Engine, error: BaseException) -> None:
    # Ignite tells of an error in an epoch twice: where it happens, and when what is raised here ends the run
    if not getattr(error, _ASKED, False):
        for do in _ENDS[engine]:
            try:
                do(engine, error)
            except BaseException as other:
                error = other
        setattr(error, _ASKED, True)
    raise error
