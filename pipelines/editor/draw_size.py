"""How large a face is drawn: as large as it is in the frame, if the generator and the memory allow it."""

from collections.abc import Callable
from typing import Final, Literal, get_args

from ...models.generator.generator import Generator
from ..common.errors import PipelineError
from ..common.machine import free_memory

DrawSize = Literal["256", "512", "1024", "auto"]
DRAW_SIZES: Final[tuple[DrawSize, ...]] = get_args(DrawSize)
LARGEST: Final = 1024
SMALLEST: Final = 256
ENLARGED: Final = 1.25
"""Times that a drawing is enlarged before `auto` takes the next size."""
KEPT: Final = 1.05
"""Times that the next smaller size would be enlarged before `auto` goes down to it: a face that sways does not flicker
between two sharpnesses."""
MEMORY: Final = {512: 700 << 20, 1024: 900 << 20}
"""Free bytes that an inversion and its edit of that size need beyond those at 256, with what composites them."""


def check_draw_size(name: str) -> DrawSize:
    """The size of that name. Raises PipelineError, which lists the names."""
    for known in DRAW_SIZES:
        if name == known:
            return known
    raise PipelineError(f"unknown --draw-size {name!r}; expected one of {', '.join(DRAW_SIZES)}")


class DrawSizes:
    """The size for each face of a stream.

    Attributes:
        notes: sentences for the user.
    """

    def __init__(
        self, wanted: DrawSize, generator: Generator, *, memory: Callable[[], int | None] = free_memory
    ) -> None:
        """Raises PipelineError where a size is asked for that the generator does not draw, or the memory not hold.

        memory: free bytes where it is drawn.
        """
        self.notes: tuple[str, ...] = ()
        self._fixed = None if wanted == "auto" else int(wanted)
        free, most = memory(), min(LARGEST, generator.resolution)
        room = max(size for size in (SMALLEST, *MEMORY) if free is None or MEMORY.get(size, 0) <= free)
        if self._fixed is not None and self._fixed > most:
            raise PipelineError(
                f"--draw-size {wanted} is more than the {most}x{most} that this generator draws; take {most}, or auto"
            )
        if self._fixed is not None and self._fixed > room and free is not None:
            raise PipelineError(
                f"--draw-size {wanted} needs {MEMORY[self._fixed] >> 20} MiB of free memory, and {free >> 20} MiB are "
                f"free; end other programs, or take {room} or auto"
            )
        if self._fixed is None and room < most and free is not None:
            self.notes = (f"{free >> 20} MiB of memory are free: faces are drawn at most at {room}x{room}",)
        self._most = min(most, room)

    def __call__(self, side: float, before: int | None = None) -> int:
        """side: of the aligned face in the frame, in pixels. before: size of the face's last drawing."""
        if self._fixed is not None:
            return self._fixed
        size = SMALLEST
        while size < self._most and side > ENLARGED * size:
            size *= 2
        if before is not None and size < before <= self._most and side > KEPT * before / 2:
            return before
        return size
