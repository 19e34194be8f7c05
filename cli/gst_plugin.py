"""`dynstream gst-plugin`: the GStreamer element `dynstream` for the user's pipelines."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def command(
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A plugin folder, as in GST_PLUGIN_PATH; the file goes into its python/.  "
            "[default: ~/.gstreamer-1.0/plugins]",
            show_default=False,
        ),
    ] = None,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Remove it again.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Install nothing; say whether it works, or why not.")] = False,
) -> None:
    """Install the GStreamer element `dynstream`, which edits faces in any pipeline of this user.

    It is one small file that leads to this environment; keep the environment where it is.

    Examples:

    - `dynstream gst-plugin`
    - `gst-launch-1.0 v4l2src ! videoconvert ! queue leaky=downstream max-size-buffers=1 ! dynstream edits=smile=2
      ! videoconvert ! autovideosink`
    - `dynstream gst-plugin --check`
    - `dynstream gst-plugin --folder /opt/plugins && export GST_PLUGIN_PATH=/opt/plugins`
    """
    from ..pipelines.common.errors import GStreamerError
    from ..pipelines.doctor.gstreamer import find_problem, foreign_python, run
    from ..pipelines.gstreamer import plugin

    if uninstall and check:
        raise typer.BadParameter("--uninstall and --check exclude each other; leave one out")
    console = Console(highlight=False, markup=False, soft_wrap=True)
    chosen = (folder or plugin.user_folder()).expanduser().absolute()
    if uninstall:
        removed = plugin.uninstall(chosen)
        console.print(f"removed {removed}" if removed else f"nothing to remove in {chosen}")
        return
    problem = find_problem()
    if problem is not None:
        raise GStreamerError(f"GStreamer: {problem.found}; {problem.mend}")
    if not check:
        console.print(f"installed {plugin.install(chosen)}")
    folders = [chosen, *plugin.named_folders()]
    if chosen != plugin.user_folder() and chosen not in folders[1:]:
        console.print(f"tell GStreamer where it is: export GST_PLUGIN_PATH={chosen}")
    other = foreign_python()
    if other is not None:
        console.print(
            f"Note: in this shell python3 is {other}, and GStreamer finds its own only where /usr/bin comes first: "
            "PATH=/usr/bin:$PATH gst-launch-1.0 ...",
            style="yellow",
        )
    status, said = run(["gst-inspect-1.0", "dynstream"], GST_PLUGIN_PATH_1_0=os.pathsep.join(map(str, folders)))
    if status:
        hint = "dynstream gst-plugin" if check else "dynstream gst-plugin --check"
        raise GStreamerError(f"GStreamer does not find the element: {said.strip() or 'it said nothing'}; run: {hint}")
    console.print("GStreamer has the element: gst-inspect-1.0 dynstream")
