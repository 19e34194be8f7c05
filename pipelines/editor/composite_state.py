"""What compositing remembers of one face from frame to frame."""

from dataclasses import dataclass

from ...models.arrays import Mask
from ..compositing.background import Plate
from ..compositing.colour_match import ColourMatch
from ..compositing.composite import Motion
from ..compositing.hair_colour import HairChange
from ..compositing.head_matte import Matte, SteadyMatte
from ..compositing.reproject import ReprojectableLayers


@dataclass(frozen=True, slots=True, eq=False)
class CompositeState:
    """State of compositing one face.

    Attributes:
        colours: of its drawings to the frame's.
        motion: of its edit.
        seconds: time of its last frame.
        drawn: its last layers.
        front: (S, S) in 0..1, what is in front of it; None where the matte gives it.
        matte, drawn_mattes, plate, hair: of its head, of the inversion and the edit, the background behind it and its
            hair; None for edits inside the face's hull.
    """

    colours: ColourMatch | None = None
    motion: Motion | None = None
    seconds: float = 0.0
    drawn: ReprojectableLayers | None = None
    front: Mask | None = None
    matte: SteadyMatte | None = None
    drawn_mattes: tuple[Matte, Matte] | None = None
    plate: Plate | None = None
    hair: HairChange | None = None
