"""The person who is seen most in a clip."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.run import who

from ..fakes import OvalBackend, scene, write_clip


class Looks:
    """As many numbers as a face has pixels, of unit length."""

    def embed_ffhq(self, x: Tensor) -> Tensor:
        return torch.nn.functional.normalize(x.flatten(1), dim=1)


def test_a_person_has_one_embedding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(who, "load_backend", lambda _name, _zoo: OvalBackend())
    monkeypatch.setattr(who, "load_arcface", lambda _zoo: Looks())
    clip = write_clip(tmp_path / "a.mp4", [scene((96 + 8 * i, 60)) for i in range(3)])
    found = who.embed_person(clip, None)  # type: ignore[arg-type]
    assert np.linalg.norm(found) == pytest.approx(1)
    alone = write_clip(tmp_path / "b.mp4", [scene((96, 60))])
    assert found @ who.embed_person(alone, None) > 0.95  # type: ignore[arg-type]
    with pytest.raises(PipelineError, match="no face was found"):
        who.embed_person(write_clip(tmp_path / "c.mp4", [scene(None)]), None)  # type: ignore[arg-type]
