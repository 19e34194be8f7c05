"""The files that a signed record names: all whose numbers decide what a result shows."""

from pathlib import Path
from typing import cast

import pytest

from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.run.model_digests import digests_of, model_files


class Folder:
    """In the zoo's place: a file for each name, a folder of two for the landmarks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "face-landmarker").mkdir()
        for name in ("mobilestylegan", "face-landmarker/a.tflite", "face-landmarker/b.tflite"):
            (root / name).write_text(name)

    def path(self, name: str) -> Path:
        return self.root / name


OWN = {"encoder.safetensors", "directions.safetensors", "matte.safetensors"}
FETCHED = {"mobilestylegan", "a.tflite", "b.tflite"}


@pytest.mark.parametrize(
    ("backend", "encoder", "nonlinear", "expected"),
    [
        ("mesh", "recurrent", False, OWN | FETCHED | {"recurrent.safetensors"}),
        ("mesh", "frame", True, OWN | FETCHED | {"latent-transformers.safetensors"}),
        ("face-alignment", "frame", False, OWN | {"mobilestylegan"}),
    ],
)
def test_every_file_that_a_result_depends_on_is_named(
    backend: str, encoder: str, nonlinear: bool, expected: set[str], tmp_path: Path
) -> None:
    files = model_files("mobilestylegan", backend, encoder, cast("Zoo", Folder(tmp_path)), nonlinear)
    assert {path.name for path in files} == expected
    assert set(digests_of(tuple(files))) == expected
