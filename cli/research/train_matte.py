"""`dynstream train matte`: the head matte, taught by the face parser."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...pipelines.research.common.extra import need_research
from ..weights import IndexUrl, Offline, open_zoo
from .shared import HeldOut, Out, Rate, Run, Steps, TrainedGenerator, save_trained

if TYPE_CHECKING:
    import torch


def matte(
    data: Annotated[list[Path], typer.Option("--data", metavar="FOLDER", help="Pictures and clips. Repeatable.")],
    exclude: HeldOut = None, run: Run = Path("runs/matte"), out: Out = None, steps: Steps = None, lr: Rate = None,
    drawn: Annotated[int, typer.Option(min=0, metavar="N", help="Drawn faces beside the real ones.")] = 2000,
    most: Annotated[int, typer.Option(min=1, metavar="N", help="Faces of each set, evenly spread.")] = 2000,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Faces a step.")] = 16,
    generator: TrainedGenerator = "mobilestylegan", offline: Offline = False, index_url: IndexUrl = None,
) -> None:  # fmt: skip
    """Train the head matte on faces that the parser has labelled, with things pasted in front of them.

    Example: `dynstream train matte --data portraits --data clips --exclude "*0.jpg" --exclude "lp_d10*"`
    """
    from dataclasses import replace

    import numpy as np

    from ...models.directions.directions import load_directions
    from ...models.faces.bisenet import load_bisenet
    from ...models.faces.mesh import load_mesh_backend
    from ...models.generator.load import load_generator
    from ...pipelines.common.clips import VIDEO_SUFFIXES
    from ...pipelines.compositing.hair_colour import WIDE
    from ...pipelines.research.training.crops import PICTURES, cached_faces, data_files
    from ...pipelines.research.training.encoder_data import read_pictures
    from ...pipelines.research.training.held_out import read_held_out
    from ...pipelines.research.training.matte import MatteConfig, intersection_over_union, train_matte
    from ...pipelines.research.training.matte_data import drawn_faces, parsed

    need_research("tensorboard", "PIL")
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        parser, backend, network = load_bisenet(zoo), load_mesh_backend(zoo), load_generator(generator, zoo)
    sets = read_pictures(data, backend, run, exclude=exclude or [], progress=print)
    for folder in data:  # heads with what is around them: hair beyond the aligned crop is found in wider ones
        if any(path.suffix.lower() in VIDEO_SUFFIXES for path in data_files([folder], exclude or [])):
            stills = [*(exclude or []), *(f"*{suffix}" for suffix in PICTURES)]
            sets.append(cached_faces(folder, backend, run, exclude=stills, every=24, scale=WIDE))
    if drawn:
        sets.append(drawn_faces(network, list(load_directions().values()), drawn, run, progress=print))
    chosen = [faces[np.linspace(0, len(faces) - 1, min(most, len(faces))).round().astype(int)] for faces in sets]
    known = [parsed(faces, parser, run, size=384, progress=print) for faces in chosen]
    unseen = {
        one.name: parsed(one.faces.permute(0, 2, 3, 1).contiguous().numpy(), parser, run)
        for one in read_held_out(data, exclude or [], backend, run, pictures=100)
    }

    def evaluate(model: "torch.nn.Module", _step: int) -> dict[str, float]:
        scores = {name: intersection_over_union(model, faces) for name, faces in unseen.items()}
        return {f"{name}/{region}": value for name, found in scores.items() for region, value in found.items()}

    config = MatteConfig(batch=batch)
    trained = train_matte(known, run, config=replace(config, loop=config.loop.changed(steps, lr)), evaluate=evaluate)
    file = save_trained(trained, out, run / "matte.safetensors")
    print(f"{file}: " + ", ".join(f"{name} {value:.3f}" for name, value in evaluate(trained, 0).items()))
