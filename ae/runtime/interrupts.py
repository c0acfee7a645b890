"""Ctrl-C and SIGTERM, which wait for a moment at which nothing is lost."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ae.runtime import devices


@contextmanager
def deferred_interrupts() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set: during a call the old state is gone and the new one not there yet.

    An exception from the handler could also get lost: Python goes on after those in callbacks of its garbage collector, and
    JAX has one. The second signal interrupts at once.
    """
    event = threading.Event()

    def defer(signum, frame):
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    if threading.current_thread() is not threading.main_thread():  # where Python allows no handlers
        yield event
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in previous.items():
        if handler != signal.SIG_IGN:  # as under nohup
            signal.signal(number, defer)
    try:
        yield event
        if any(devices.any_process(event.is_set())):  # it came after the caller's last look
            raise KeyboardInterrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
