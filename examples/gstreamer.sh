#!/usr/bin/env bash
# Edit a video file in a GStreamer pipeline; without files, a camera is shown.
# Usage: examples/gstreamer.sh [IN OUT.ogv]
set -euo pipefail
dynstream models pull mobilestylegan face-landmarker  # a pipeline fetches nothing
dynstream gst-plugin
PATH=/usr/bin:$PATH  # in an activated environment GStreamer would take its Python for the system's
if (($# == 2)); then
  # For MP4: x264enc ! mp4mux, from Debian's gstreamer1.0-plugins-ugly and -good.
  gst-launch-1.0 -e filesrc location="$1" ! decodebin ! videoconvert ! dynstream edits=smile=0:2@3s ! \
    videoconvert ! theoraenc quality=60 ! oggmux ! filesink location="$2"
else
  # The leaky queue lets the camera go on while a frame is edited; late frames are dropped, not shown unedited.
  gst-launch-1.0 v4l2src ! videoconvert ! queue leaky=downstream max-size-buffers=1 ! \
    dynstream edits=smile=2 latency=400 ! queue ! videoconvert ! autovideosink
fi
