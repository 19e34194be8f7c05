"""`dynstream bench gpu`: a GPU beside the CPU, in one command of a few minutes."""

from typing import Annotated

import typer

from ..options import JsonFile
from ..printing import table_console
from ..weights import IndexUrl, Offline, open_zoo
from .shared import say

WIDTH = 140
EDIT = "smile=2"


def command(
    context: typer.Context,
    device: Annotated[str, typer.Option("--device", metavar="cuda|cuda:N|cpu", help="What is measured.")] = "cuda",
    seconds: Annotated[float, typer.Option(min=1, help="Time of the measurements.")] = 200.0,
    quick: Annotated[bool, typer.Option("--quick", help="A little of everything, in seconds.")] = False,
    json_file: JsonFile = None,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Compare a GPU's results with the CPU's; time one stream; count streams at 30 frames a second; say the memory.

    It takes less than six minutes, needs the weights alone (`dynstream models pull` before, where there is no network),
    and ends with status 1 if a result differs from the CPU's.

    Examples:

    - `dynstream bench gpu --json gpu.json`
    - `dynstream bench gpu --device cpu --quick`
    """
    from dataclasses import replace

    from ...models.directions.directions import load_directions
    from ...models.encoders.encoder import load_encoder
    from ...models.encoders.recurrent_encoder import load_recurrent_encoder
    from ...models.faces.matte import load_matte
    from ...models.faces.mesh_graph import load_mesh_graph
    from ...models.generator.generator import broadcast_w
    from ...models.generator.load import load_generator
    from ...pipelines.common.errors import PipelineError
    from ...pipelines.common.machine import describe_machine
    from ...pipelines.edits.parsing import parse_edits
    from ...pipelines.research.bench.documents import gpu_document
    from ...pipelines.research.bench.generator import draw_code
    from ...pipelines.research.bench.gpu import GpuBenchSettings, GpuMeter, GpuNetworks, moving_face, portrait
    from ...pipelines.research.common.json_files import write_json
    from ...pipelines.research.common.timing import plain
    from ...pipelines.research.report.document import with_document
    from ...pipelines.tracking.backends import load_backend
    from ..command_line import command_line
    from .bench_tables import print_document

    settings = GpuBenchSettings.quick(device) if quick else GpuBenchSettings(device=device, seconds=seconds)
    check_gpu(device)
    edits = parse_edits([EDIT], None, load_directions())
    machine = describe_machine()
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        generator = load_generator("mobilestylegan", zoo)
        networks = GpuNetworks(
            load_encoder(), generator, load_recurrent_encoder(), load_mesh_graph(zoo), load_matte(),
            backend=lambda: load_backend("mesh", zoo),
        )  # fmt: skip
        face = portrait(generator, broadcast_w(draw_code(generator), generator.codes))  # type: ignore[arg-type]
        regions = {"face": edits, "head": replace(edits, region="head")}
        found = GpuMeter(networks, regions, settings, lambda size: moving_face(face, size), progress=say).run()
    result = {"command": command_line(context), "machine": machine, "settings": plain(settings), **plain(found)}
    document = gpu_document(result)
    print_document(document, "GPU", WIDTH)
    table_console(WIDTH).print(document.note)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_json(json_file, with_document(result, gpu_document))
        print(json_file)
    if not found.same:
        apart = ", ".join(each.name for each in found.agreements if not each.same)
        raise PipelineError(f"{device} does not give what the CPU gives: {apart}; do not use it before that is known")


def check_gpu(device: str) -> None:
    """Raises PipelineError, which says what to do, where a CUDA device is asked for and there is none."""
    import torch

    from ...pipelines.common.errors import PipelineError

    if device.startswith("cuda") and not torch.cuda.is_available():
        built = "this PyTorch is built without CUDA" if torch.version.cuda is None else "PyTorch finds no CUDA device"
        raise PipelineError(
            f"there is no GPU to measure: {built} ({torch.__version__}); run this on a machine with one, or see what "
            "it does with: dynstream bench gpu --device cpu --quick"
        )
