"""The demonstration: edit the sample clip and make a side-by-side video and a contact sheet."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...stream.atomic import AtomicFile
from ...stream.reader import VideoReader
from ..common.clips import shorten
from ..common.errors import PipelineError
from .contact_sheet import write_contact_sheet
from .side_by_side import write_side_by_side
from .transcode import Report, Seal, transcode
from .watch import Watch, unwatched

if TYPE_CHECKING:
    from ..editor.face_editor import FaceEditor

ROWS = 6


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """The files of a demonstration in its folder; those of an earlier one are replaced."""

    folder: Path

    @property
    def source(self) -> Path:
        """The sample clip, or its first seconds."""
        return self.folder / "source.mp4"

    @property
    def result(self) -> Path:
        """The same clip, edited."""
        return self.folder / "edited.mp4"

    @property
    def side_by_side(self) -> Path:
        """Both side by side, as a video."""
        return self.folder / "side-by-side.mp4"

    @property
    def contact_sheet(self) -> Path:
        """Both side by side at a few times, as a picture."""
        return self.folder / "contact-sheet.png"


def prepare(clip: Path, folder: Path, seconds: float | None = None) -> DemoFiles:
    """Make the folder and put the clip, or its first `seconds`, into it.

    Raises PipelineError if the folder cannot be made, SourceError and SinkError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PipelineError(
            f"cannot make the folder {folder}: {error.strerror}; name another one with --out FOLDER"
        ) from error
    files = DemoFiles(folder)
    if seconds is not None:
        shorten(clip, files.source, seconds, overwrite=True)
        return files
    copy = AtomicFile(files.source, overwrite=True)
    try:
        try:
            shutil.copyfile(clip, copy.path)
        except OSError as error:
            raise PipelineError(f"cannot copy {clip} to {files.source}: {error.strerror}") from error
        copy.commit()
    finally:
        copy.discard()
    return files


def run_demo(
    files: DemoFiles,
    editor: "FaceEditor",
    *,
    label: str = "edited",
    seals: Mapping[Path, Seal | None] | None = None,
    watch: Watch = unwatched,
) -> Report:
    """Edit the prepared clip and write all files.

    label: ASCII text on the edited pictures. seals: file -> what signs it. Raises SourceError and SinkError.
    """
    result, beside, sheet = (
        (seals or {}).get(path) for path in (files.result, files.side_by_side, files.contact_sheet)
    )
    with VideoReader(files.source) as reader:
        total, seconds_per_frame = reader.frame_count_estimate, float(1 / reader.rate)
    with watch("edit", total, seconds_per_frame) as count:
        report = transcode(
            files.source, files.result, editor, draw_every="auto", overwrite=True, seal=result, progress=count
        )
    labels = ("source", label)
    with watch("side by side", report.frames, seconds_per_frame) as count:
        write_side_by_side(
            files.source,
            files.result,
            files.side_by_side,
            labels=labels,
            overwrite=True,
            seal=beside,
            progress=count,
        )
    write_contact_sheet(
        files.source, files.result, files.contact_sheet, rows=ROWS, labels=labels, overwrite=True, seal=sheet
    )
    return report
