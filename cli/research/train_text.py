"""`dynstream train text`: what reads texts, and the text-face embedding."""

from pathlib import Path
from typing import Annotated

import typer

from ...pipelines.research.common.extra import need_research
from ..progress import count_frames
from ..weights import IndexUrl, Offline, open_zoo
from .shared import HeldOut, Rate, Run, Steps, TrainedGenerator


def text(
    data: Annotated[
        list[Path] | None, typer.Option("--data", metavar="FOLDER", help="Pictures and clips. Repeatable.")
    ] = None,
    exclude: HeldOut = None,
    faces: Annotated[int, typer.Option(min=200, metavar="N", help="Drawn faces; a tenth is held out.")] = 20_000,
    run: Run = Path("runs/text"),
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The weights; by default the run folder.")] = None,
    steps: Steps = None, lr: Rate = None, generator: TrainedGenerator = "mobilestylegan",
    offline: Offline = False, index_url: IndexUrl = None,
) -> None:  # fmt: skip
    """Train what reads texts: the network that names concepts, and the text-face embedding, twice for a judge.

    Faces are drawn and measured first, about 0.3 s each on one core, fifty to a file: the same command goes on where it
    was stopped, and --faces may be raised later. Two embeddings are trained by different seeds and halves of the faces.

    Example: `dynstream train text --data portraits --data clips --exclude "*0.jpg" --exclude "lp_d1[08]*"`
    """
    from ...models.generator.load import load_generator
    from ...pipelines.research.text.judge_embedding import table_of
    from ...pipelines.research.text.train import TextTraining, train_text
    from ...pipelines.research.text.train_embedding import CONFIG

    need_research("tensorboard")
    options = TextTraining(
        data=data or [], exclude=exclude or [], faces=faces, run=run, target=out or run, loop=CONFIG.changed(steps, lr)
    )
    with open_zoo(offline=offline, index_url=index_url) as zoo, count_frames("auto", "drawn faces", faces) as progress:
        scores = train_text(zoo, load_generator(generator, zoo), options, progress=progress)
    table = table_of(scores)
    (run / "scores.md").write_text(table + "\n", encoding="utf-8")
    print(table)


def text_mapper(
    run: Run = Path("runs/text"),
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The weights; by default in the run folder.")] = None,
    steps: Steps = None, lr: Rate = None, generator: TrainedGenerator = "mobilestylegan",
    offline: Offline = False, index_url: IndexUrl = None,
) -> None:  # fmt: skip
    """Train the text mapper of --text-by mapper on the faces and the embedding of `train text`, without drawing.

    Example: `dynstream train text-mapper --run runs/text`
    """
    import torch

    from ...models.generator.load import load_generator
    from ...models.text.face_text import load_face_text
    from ...pipelines.research.text.measured_faces import read_drawn
    from ...pipelines.research.text.train_embedding import prepare
    from ...pipelines.research.text.train_mapper import CONFIG, distil, train_mapper
    from ...pipelines.research.training.loop import save_weights

    need_research("tensorboard")
    config = CONFIG.changed(steps, lr)
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        network, embedding = load_generator(generator, zoo), load_face_text(zoo, run / "face-text.safetensors")
    table = read_drawn(run / "drawn")
    vectors = embedding.heads.face(prepare(embedding.trunk, table, run).features.float())
    codes = torch.from_numpy(table.codes).float()
    seen, cosine = distil(codes, vectors, network.mean_w().cpu(), run / "code-embedding", config=config)
    print(f"the embedding from codes alone: mean cosine {cosine:.3f} on {len(codes) // 10} faces that it has not seen")
    mapper = train_mapper(network, seen, embedding.texts, run / "mapper", config=config)
    target = out or run / "text-mapper.safetensors"
    save_weights(mapper, target)
    print(target)
