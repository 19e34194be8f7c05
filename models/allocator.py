"""Settings of the C library's allocator: keep freed memory, and share it between threads.

The networks' activations are buffers of 8 to 64 MB that come and go many times a second. By default the C library maps
each again and the kernel clears its pages, which costs more than the arithmetic. Without these settings, drawing five
faces at once takes three times as long, and training through the generator 3.5 times.

New threads get heaps of their own, up to eight for each core, whose freed memory no other thread uses. Each connection
to a server brings two decoder threads: after a hundred a server that held nothing was 55 MiB larger, and still grew.
"""

import ctypes
import sys
from collections.abc import Callable

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
KEEP = 1 << 30
HEAPS = 2


def keep_freed_memory() -> bool:
    """Tell glibc to serve large blocks from the heap and not to trim it. Returns whether there was a glibc to tell."""
    return _tell((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEEP), (M_TOP_PAD, 64 << 20))


def share_heaps() -> bool:
    """Tell glibc to keep to two heaps; before threads are started. Returns whether there was a glibc to tell."""
    return _tell((M_ARENA_MAX, HEAPS))


def give_back() -> bool:
    """Give the system what is free in glibc's heaps. Returns whether there was anything to give, or a glibc to do it.

    It takes tens of milliseconds, in which other threads may have to wait for memory.
    """
    trim = _function("malloc_trim")
    return trim is not None and bool(trim(0))


def _tell(*settings: tuple[int, int]) -> bool:
    mallopt = _function("mallopt")
    if mallopt is None:
        return False
    results = [mallopt(name, value) for name, value in settings]  # each of them, whatever the others say
    return all(result == 1 for result in results)


def _function(name: str) -> Callable[..., int] | None:
    """One of glibc's, None if there is no glibc."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    return found
