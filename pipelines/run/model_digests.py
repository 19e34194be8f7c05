"""Which files of weights a job draws with, and their digests, for the record that is signed into its result."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..credentials.record import digests

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo


def model_files(generator: str, backend: str, encoder: str, zoo: "Zoo", nonlinear: bool = False) -> list[Path]:
    """The weight files of networks by name, and of those that every edit uses. nonlinear: whether one of them is.

    Raises WeightsError where one is not there.
    """
    from ...models.directions import directions, latent_transformer
    from ...models.encoders import encoder as frame_encoder
    from ...models.encoders import recurrent_encoder
    from ...models.faces import matte

    own = [frame_encoder.WEIGHTS, directions.WEIGHTS, matte.WEIGHTS]
    if nonlinear:
        own.append(latent_transformer.WEIGHTS)
    if encoder == "recurrent":
        own.append(recurrent_encoder.WEIGHTS)
    fetched = [zoo.path(generator)]
    if backend == "mesh":
        fetched.append(zoo.path("face-landmarker"))
    files = [path for place in fetched for path in ([place] if place.is_file() else sorted(place.rglob("*")))]
    return [path for path in [*own, *files] if path.is_file()]


@cache
def digests_of(files: tuple[Path, ...]) -> dict[str, str]:
    """Name -> sha256, read once."""
    return digests(files)
