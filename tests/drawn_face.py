"""The drawn face of the test pattern, which the tests use as well."""

from dynstream.stream.drawn_face import BACKGROUND, draw_face, paint_face

__all__ = ["BACKGROUND", "draw_face", "paint_face"]
