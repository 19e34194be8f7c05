"""Many files of a Python program."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ..batch.plan import Item
    from ..batch.run import BatchStatus
    from ..batch.workers import Workers
    from ..edits.edit import EditSpec

LEDGER_NAME = "dynstream-batch.jsonl"


def batch(
    sources: "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]",
    out: str | os.PathLike[str],
    edits: "Mapping[str, float | str] | str | os.PathLike[str] | Sequence[str | EditSpec]" = (),
    *,
    text: str | Sequence[str] = (),
    suffix: str = "",
    ledger: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    segments: int | Literal["auto"] = 1,
    workers: int | None = None,
    cores: int = 1,
    device: str = "cpu",
    ray: str | None = None,
    offline: bool = False,
    signing: tuple[Path | None, Path | None] | None = None,
    progress: "Callable[[BatchStatus], object] | None" = None,
    **options: Any,
) -> "BatchStatus":
    """Edit the faces of many video files, as `dynstream batch` does, on this machine or on a Ray cluster.

    The plan is checked first, as a whole. Then a ledger beside the results says what is done: the same call goes on
    after a kill, a full disk or a lost machine. A file that fails three times is set aside, and the rest goes on.

    Args:
        sources: files, globs, folders, URLs that fsspec opens, and manifests (.csv, .jsonl) with the columns source,
            result, edits, text and options.
        out: folder or URL of the results.
        edits: of files that have none in a manifest; see `load_editor`. Or a list, as of ["smile=2", "age=0:2@3s"].
        text: the same in words, "older, with glasses"; `edits` goes before it. A manifest may have a column `text`.
        suffix: of the results, such as ".mp4"; "" keeps each source's.
        ledger: the file; by default `dynstream-batch.jsonl` in `out`.
        overwrite: replace results that were made otherwise.
        segments: pieces of each file, edited apart and joined; "auto" cuts where there are fewer files than workers.
        workers: number of processes; by default one for so many cores, or for each GPU.
        cores: of each worker.
        device: "cpu" or "cuda".
        ray: address of a Ray cluster, or "auto"; None takes this machine alone.
        offline: never fetch weights.
        signing: (certificate, key) for Content Credentials, on every worker's machine; (None, None) takes those of the
            environment or of `dynstream credentials init`; None signs nothing.
        progress: is called with the status twice a second; it is one object, which changes.
        options: those of `transcode`, for all files: mode, faces, codec, crf and so on.

    Returns:
        The status has `files`, `already`, `done`, `failed`, `frames`, `seconds` and `workers`, among others.

    Raises:
        BatchError: for a plan that cannot be made, a ledger of something else, or a full disk.
        ClusterError: for a cluster that is not there or does not fit, and where no worker can start.
        SinkError: for a folder that cannot be written.
    """
    from ...models.zoo.zoo import Zoo
    from ..batch.ledger import Ledger
    from ..batch.plan import expand, make_plan, read_edits, read_options, region_of
    from ..batch.run import BatchSettings, run_batch
    from ..edits.parsing import merged
    from .edits import words_reader

    listed = [sources] if isinstance(sources, str | os.PathLike) else sources
    folder = os.fspath(out)
    common = os.fspath(edits) if isinstance(edits, os.PathLike) else edits
    read_words = words_reader(lambda: Zoo(offline=offline))
    specs = read_edits(common if isinstance(common, str | Mapping) else list(common), read_words) if common else ()
    specs = merged(read_words([text] if isinstance(text, str) else list(text)) if text else (), specs)
    common_options = {**region_of(common), **read_options(options)}
    items = make_plan(expand([os.fspath(name) for name in listed], folder, suffix), specs, common_options, read_words)
    with Ledger(_ledger_path(folder, ledger)) as opened:
        return run_batch(
            items,
            opened,
            partial(
                _open, items, workers=workers, cores=cores, device=device, ray=ray, offline=offline, signing=signing
            ),
            BatchSettings(overwrite=overwrite, segments=segments),
            watch=progress or (lambda _status: None),
        )


def _ledger_path(out: str, chosen: str | os.PathLike[str] | None) -> Path:
    from ..batch import places
    from ..common.errors import BatchError

    if chosen is not None:
        return Path(chosen)
    if places.is_url(out):
        raise BatchError(f"the ledger of results in {out} must be a local file: name it with --ledger FILE")
    places.make_folder(os.path.join(out, LEDGER_NAME))
    return Path(out, LEDGER_NAME)


def _open(
    items: "Sequence[Item]",
    *,
    workers: int | None,
    cores: int,
    device: str,
    ray: str | None,
    offline: bool,
    signing: tuple[Path | None, Path | None] | None = None,
) -> "Workers":
    """The workers of a batch, and before them the weights, which are then fetched once."""
    from ..batch.transcoder import Transcoder, kinds_of

    make = partial(Transcoder, kinds_of(items), offline=offline, device=device, signing=signing)
    if ray is not None:
        from ..batch.ray_workers import RayWorkers

        return RayWorkers(make, address=ray, count=workers, cores=cores, gpu=device != "cpu")
    from ..batch.local_workers import LocalWorkers
    from ..common.machine import usable_cores
    from ..editor.accelerate import check_device

    gpus = 1
    if device != "cpu":
        import torch

        check_device(device)
        gpus = torch.cuda.device_count()
    count = workers or (max(1, usable_cores() // cores) if device == "cpu" else gpus)
    return LocalWorkers(make, count=count, cores=cores)
