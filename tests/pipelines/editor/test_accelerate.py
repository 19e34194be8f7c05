"""The fast renderer against the plain one, and names that are wrong."""

import numpy as np
import pytest
import torch

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.accelerate import accelerate, check_device, fill
from dynstream.pipelines.editor.precision import check_precision
from dynstream.pipelines.editor.renderer import FaceJob, Renderer
from dynstream.pipelines.engine.load import defaults, hold

from ..fakes import LevelEncoder, LevelGenerator

JOBS = [FaceJob(np.full((256, 256, 3), level, np.uint8), torch.full((18, 512), 0.1), 0.0) for level in (20, 90, 200)]


def renderer() -> Renderer:
    return Renderer(LevelEncoder(), LevelGenerator(), code_offset=torch.full((18, 512), 0.05))  # type: ignore[arg-type]


def test_plain_settings_give_the_very_renderer() -> None:
    plain = renderer()
    assert accelerate(plain) is plain


def test_lower_precision_is_close_and_keeps_codes_in_float32() -> None:
    expected = renderer().render(JOBS, [None] * 3, Stages())
    fast = accelerate(renderer(), precision="bfloat16")
    results = fast.render(JOBS, [None] * 3, Stages())
    for result, wanted in zip(results, expected, strict=True):
        assert result.latent.codes.dtype == torch.float32
        assert result.edited.dtype == np.float32
        np.testing.assert_allclose(result.edited, wanted.edited, atol=2.0)


def test_a_compiled_renderer_fills_batches_and_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def compiled(function: object, **options: object) -> object:
        assert options == {"dynamic": False, "mode": None}

        def run(batch: torch.Tensor, **rest: object) -> object:
            sizes.append(len(batch))
            return function(batch, **rest)  # type: ignore[operator]

        return run

    monkeypatch.setattr(torch, "compile", compiled)
    expected = renderer().render(JOBS, [None] * 3, Stages())
    results = accelerate(renderer(), compiled=True).render(JOBS, [None] * 3, Stages())
    assert sizes == [4, 8]
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.edited, wanted.edited)


def test_batches_are_filled_to_powers_of_two() -> None:
    for count, wanted in ((1, 1), (2, 2), (3, 4), (4, 4), (5, 8)):
        batch = torch.arange(float(count))[:, None]
        filled = fill(batch)
        assert len(filled) == wanted
        assert torch.equal(filled[:count], batch)


def test_wrong_names() -> None:
    with pytest.raises(PipelineError, match="unknown precision 'int8'; expected one of auto, float32, bfloat16"):
        check_precision("int8")
    with pytest.raises(PipelineError, match="device 'toaster' cannot be used"):
        check_device("toaster")
    with pytest.raises(PipelineError, match="unknown quality level 'fast'"):
        hold(defaults("cpu"), "fast")
    assert hold(defaults("cpu"), "half").first_level == "half"
    assert defaults("cuda").first_level == "full"
