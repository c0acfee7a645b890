"""Start of a command line: errors as one line with exit status 2."""

import logging
import os
import platform
import shlex
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

TUNABLES = "GLIBC_TUNABLES"


def run(
    main: Callable[..., None] | dict[str, Callable[..., None]],
    parse: Callable[..., Callable[[], None]] | None = None,
    *,
    interrupted: str = "interrupted",
) -> None:
    """Parse the command line for `main`, or for one of several by name, and call it; Ctrl-C prints `interrupted`.

    `parse(main, args)` returns the call to make: `ae.runtime.arguments.parse`, unless a script has its own.
    """
    _use_huge_pages()
    sys.unraisablehook = _interrupt_again
    _keep_compiled_programs()
    _silence_libraries()

    from ae.errors import InputError, TrainingError
    from ae.runtime import arguments
    from ae.runtime.files import FULL

    try:
        (parse or arguments.parse)(main, sys.argv[1:])()
    except (InputError, TrainingError) as error:
        sys.exit(_fail(f"error: {error}", 2))
    except OSError as error:
        sys.exit(_fail(f"error: {error}{'; make room, then try again' if error.errno in FULL else ''}", 2))
    except KeyboardInterrupt as interrupt:
        sys.exit(_fail(str(interrupt) or interrupted, 130))


def _use_huge_pages() -> None:
    """Start the program again with glibc's tunable for huge pages, which is read at the start only.

    XLA's temporary arrays are mapped anew at each call: in small pages, their page faults take a tenth of a step on a CPU.
    """
    if platform.libc_ver()[0] == "glibc" and TUNABLES not in os.environ:
        os.environ[TUNABLES] = "glibc.malloc.hugetlb=1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _keep_compiled_programs() -> None:
    """Keep all compiled programs for the next start: a hundred small ones take seconds too."""
    import platformdirs

    cache = Path(platformdirs.user_cache_dir("ae"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache / "compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    # A killed run may leave a compiled program cut short; it is compiled again.
    warnings.filterwarnings("ignore", "Error reading persistent compilation cache entry")


def _silence_libraries() -> None:
    """Silence what users need not know, or what is raised too; tifffile takes many lines for a damaged file."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's own remarks on how it compiles
    os.environ.setdefault("SVT_LOG", "0")  # the AV1 encoder's on its settings
    for talkative in ("absl", "tifffile"):
        logging.getLogger(talkative).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"PIL|imageio|tifffile")
    os.environ["MPLBACKEND"] = "agg"  # matplotlib is not imported with a notebook's, where that is not installed


def _interrupt_again(lost: Any) -> None:
    """Send a Ctrl-C again that Python dropped, as it drops what is raised in callbacks of its garbage collector.

    JAX has such a callback.
    """
    if lost.exc_type is KeyboardInterrupt:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(lost)


def check_above(least: float, **options: float | None) -> None:
    """Raise InputError where an option is given and not above a number."""
    _check(lambda value: value > least, f"has to be above {least:g}", options)


def check_at_least(least: float, **options: float | None) -> None:
    """Raise InputError where an option is given and below a number."""
    _check(lambda value: value >= least, f"has to be at least {least:g}", options)


def _check(holds: Callable[[float], bool], condition: str, options: dict[str, float | None]) -> None:
    from ae.errors import InputError

    for name, value in options.items():
        if value is not None and not holds(value):
            raise InputError(f"--{name.replace('_', '-')} {condition}, not {value:g}")


def command() -> str:
    """Return the command line as a user would type it."""
    return shlex.join(["python", f"scripts/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def _fail(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status
