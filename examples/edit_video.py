"""Edit the faces of a video file, and say how far it is.

    python examples/edit_video.py in.mp4 out.mp4 smile=2
    python examples/edit_video.py in.mp4 out.mp4 age=0:2@3s --frames frames/

With --frames a folder gets the edited frames as PNG files, too: one stream, frame by frame, for whoever wants to do
something else with them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

import dynstream


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example with these arguments; those of the command line where not given."""
    parser = argparse.ArgumentParser(description="Edit the faces of a video file.")
    parser.add_argument("source", help="a video file")
    parser.add_argument("target", help="the result; its suffix names the container")
    parser.add_argument("edits", nargs="+", metavar="NAME=STRENGTH", help="such as smile=2, or a ramp: age=0:2@3s")
    parser.add_argument("--frames", type=Path, metavar="FOLDER", help="write the edited frames here, too")
    options = parser.parse_args(arguments)
    try:
        edits = dict(edit.split("=", 1) for edit in options.edits)
        report = dynstream.transcode(options.source, options.target, edits, progress=print)
        print(f"{report.frames} frames: {report.outcomes}")
        if options.frames:
            write_frames(options.source, edits, options.frames)
    except dynstream.DynstreamError as error:
        parser.error(str(error))


def write_frames(source: str, edits: dict[str, str], folder: Path) -> None:
    """Every frame of a video, edited, as a PNG file named by its time in milliseconds."""
    folder.mkdir(parents=True, exist_ok=True)
    stream = dynstream.load_editor(edits).stream()
    for frame in dynstream.read(source):
        edited = stream(frame)
        Image.fromarray(edited.pixels).save(folder / f"{1000 * edited.seconds:08.0f}.png")


if __name__ == "__main__":
    main()
