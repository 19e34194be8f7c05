"""`--refine N`: before editing, fit one code offset, shared by the whole clip, to a few of its frames.

What an encoder gets wrong about a person it gets wrong in every frame; one offset for all frames corrects that and
cannot flicker.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..models.arcface import load_arcface
from ..models.lpips import load_lpips
from ..stream.reader import VideoReader
from .align import crop
from .errors import PipelineError
from .face_editor import FaceEditor
from .render import Renderer
from .tensors import to_tensor
from .track import Tracker, TrackerState

if TYPE_CHECKING:
    from ..models.zoo import Zoo

FRAMES = 8
BATCH = 2
RATE = 0.02
PULL = 2e-3


def spread_faces(tracker: Tracker, source: Path, count: int = FRAMES) -> Tensor:
    """(up to `count`, 3, 256, 256) aligned faces, evenly spread; PipelineError where none is seen."""
    with VideoReader(source) as reader:
        total = reader.frame_count_estimate or 1
        every = max(1, total // count)
        faces = []
        for number, frame in enumerate(reader):
            if number % every != every // 2:
                continue
            _, seen = tracker.step(TrackerState(), frame)
            if seen.faces:
                faces.append(crop(frame.pixels, seen.faces[0].quad))
            if len(faces) == count:
                break
    if not faces:
        raise PipelineError(f"--refine found no face in {source}; leave it out, or name a clip with a face")
    return to_tensor(np.stack(faces))


def fit_offset(
    editor: FaceEditor, faces: Tensor, zoo: "Zoo", *, steps: int, progress: Callable[[int], None] = lambda _n: None
) -> Tensor:
    """(codes, 512): the offset after `steps` of Adam on L2 + 0.8 LPIPS + 0.5 identity + a pull towards zero.

    faces: (N, 3, 256, 256) in [-1, 1], the frames that it must serve all at once.
    """
    lpips, arcface = load_lpips(zoo), load_arcface(zoo)
    with torch.no_grad():
        codes = editor.renderer.encoder(faces)
        identities = arcface.embed_ffhq(faces)
        features = [lpips.features(face[None]) for face in faces]
    offset = torch.zeros_like(codes[0], requires_grad=True)
    optimizer = torch.optim.Adam([offset], lr=RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: min(1.0, (n + 1) / 5) * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * n / steps)).item())
    )
    for number in range(steps):
        loss = PULL * offset.square().sum() / 512
        for i in range(BATCH):
            k = (number * BATCH + i) % len(faces)
            image = editor.renderer.generator.synthesize(codes[k : k + 1] + offset, size=256)
            same = (arcface.embed_ffhq(image) * identities[k]).sum()
            perceptual = lpips.distance(lpips.features(image), features[k]).mean()
            loss = loss + (F.mse_loss(image[0], faces[k]) + 0.8 * perceptual + 0.5 * (1 - same)) / BATCH
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress(number + 1)
    return offset.detach()


def refine_clip(
    editor: FaceEditor, source: Path, zoo: "Zoo", *, steps: int, progress: Callable[[int], None] = lambda _n: None
) -> FaceEditor:
    """The same editor with an offset fitted to the clip's largest face."""
    faces = spread_faces(editor.tracker, source)
    offset = fit_offset(editor, faces, zoo, steps=steps, progress=progress)
    renderer = Renderer(editor.renderer.encoder, editor.renderer.generator, code_offset=offset)
    return FaceEditor(editor.tracker, renderer, editor.edits, mode=editor.mode)
