"""Content Credentials of a transcode job: what was done by which models, signed into its result."""

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..credentials.record import EditRecord, digests, sign

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo
    from ..edits.edit import EditSpec
    from .transcode import Seal
    from .transcode_job import TranscodeJob


def seal_of(job: "TranscodeJob", zoo: "Zoo") -> "Seal | None":
    """Signs the result of a job; None where it has no identity to sign with."""
    if job.identity is None:
        return None
    record = EditRecord(
        title=job.target.name,
        source=job.source,
        edits={spec.name: _strength(spec) for spec in job.edits.specs},
        settings={
            "mode": job.mode,
            "faces": job.faces,
            "generator": job.generator,
            "backend": job.backend,
            "encoder": job.encoder,
        },
        models=_models(tuple(model_files(job, zoo))),
    )
    return partial(sign, record=record, identity=job.identity)


def _strength(spec: "EditSpec") -> str:
    if spec.start == spec.end:
        return f"{spec.start:g}"
    return f"{spec.start:g}:{spec.end:g}@{spec.begin:g}s-{spec.until:g}s"


def model_files(job: "TranscodeJob", zoo: "Zoo") -> list[Path]:
    """The weight files that a job draws with. Raises WeightsError where one is not there."""
    from ...models.directions import directions
    from ...models.encoders import encoder, recurrent_encoder

    own = [encoder.WEIGHTS, directions.WEIGHTS]
    if job.encoder == "recurrent":
        own.append(recurrent_encoder.WEIGHTS)
    fetched = [zoo.path(job.generator)]
    if job.backend == "mesh":
        fetched.append(zoo.path("face-landmarker"))
    files = [path for place in fetched for path in ([place] if place.is_file() else sorted(place.rglob("*")))]
    return [path for path in [*own, *files] if path.is_file()]


@cache
def _models(files: tuple[Path, ...]) -> dict[str, str]:
    return digests(files)
