"""From the drawings of one face to its layers, on a device: `face_compositor.py` without a branch on what is seen."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...models.arrays import Quad
from ...models.faces.matte import HeadMatte
from ...models.faces.mesh_graph import MeshGraph
from ..common.graphs import Graphs
from ..common.stage_timing import Stages
from ..compositing import hair_colour
from ..compositing.composite import Mode
from ..compositing.head_matte import BORDER
from ..compositing.on_device import background, mattes
from ..compositing.on_device import layers as device_layers
from ..compositing.on_device.background import DevicePlate
from ..compositing.on_device.colours import (
    COLOUR_SECONDS,
    DeviceHair,
    apply_match,
    follow_hair,
    measure_hair,
    measure_match,
)
from ..compositing.on_device.face_masks import FaceMasks
from ..compositing.on_device.filters import resize
from ..compositing.on_device.layers import (
    DeviceLayers,
    DeviceMotion,
    border_fade,
    compose,
    detail_layers,
    follow_motion,
    hair_layers,
    head_layers,
    keep_source,
    larger,
    measure_motion,
    moved_layers,
    replace_layers,
    sharpened,
)
from ..compositing.on_device.mattes import DeviceMatte, displacement, wide_displacement
from ..compositing.on_device.sampling import crop, warp
from ..edits.regions import Touched
from ..inversion.latent_memory import share
from ..tracking.align import CROP, enlarge_quad
from .face_compositor import HAIR_AT_BORDER, LEAST_CHANGE, LEAST_PRESENCE, TURN


@dataclass(frozen=True, slots=True, eq=False)
class DeviceDrawn:
    """What was composited last: `reproject.ReprojectableLayers` on a device, with the same fields.

    Attributes:
        detail: whether the mouth's inside stays the frame's.
    """

    layers: DeviceLayers | None
    points: Tensor
    weight: float
    seconds: float
    tint: DeviceLayers | None = None
    beyond: DeviceLayers | None = None
    hull: bool = True
    detail: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class DeviceComposite:
    """`composite_state.CompositeState` on a device, with the same fields; drawn_mattes: (2, 2, S, S)."""

    colours: Tensor | None = None
    motion: DeviceMotion | None = None
    seconds: float = 0.0
    drawn: DeviceDrawn | None = None
    front: Tensor | None = None
    matte: DeviceMatte | None = None
    drawn_mattes: Tensor | None = None
    plate: DevicePlate | None = None
    hair: DeviceHair | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DeviceFace:
    """One face of a frame and its drawings, on a device.

    Attributes:
        frame: (3, H, W) uint8.
        face: (3, S, S) in 0..255, its crop.
        drawings: (2, 3, D, D) in 0..255, the inversion and its edit; D is S or a multiple of it.
        masks: of its landmarks.
        quad, weight, seconds: as of `face_compositor.DrawnFace`.
    """

    frame: Tensor
    face: Tensor
    drawings: Tensor
    masks: FaceMasks
    quad: Quad
    weight: float
    seconds: float


class DeviceCompositor:
    """Makes the layers of faces. It holds networks, which are on the device, and no state."""

    def __init__(self, mesh: MeshGraph, matte: HeadMatte | None, graphs: Graphs) -> None:
        """matte: None keeps every edit in the hull of the landmarks. graphs: run what takes most launches."""
        self._mesh = mesh
        self._matte = matte
        self._graphs = graphs

    def layers(
        self, before: DeviceComposite, drawn: DeviceFace, touched: Touched, mode: Mode, stages: Stages
    ) -> tuple[DeviceComposite, DeviceDrawn]:
        """See `FaceCompositor.layers`."""
        elapsed, masks = drawn.seconds - before.seconds, drawn.masks
        pair = drawn.drawings
        if mode == "detail":
            pair = self._match_shape(masks.points, pair)
        small = torch.stack([resize(picture, CROP) for picture in pair])
        colours = measure_match(drawn.face, small[0], masks.hull)
        if before.colours is not None:
            colours = torch.lerp(before.colours, colours, share(elapsed, COLOUR_SECONDS))
        inverted, edited = (apply_match(colours, picture) for picture in small)
        large = edited if pair.shape[-1] == CROP else apply_match(colours, pair[1])
        state = DeviceComposite(colours, before.motion, drawn.seconds)
        weight = drawn.weight if mode == "replace" else min(1.0, 4 * drawn.weight)
        hull, front = masks.hull, torch.zeros_like(masks.hull)
        wide = self._matte is not None and (touched.head or touched.hair)
        if self._matte is not None and not wide:
            with stages.time("matte"):
                (now,) = self._graphs.run(self._front, drawn.face, inverted, masks.hull, masks.mouth)
                front = mattes.follow_front(before.front, now, elapsed)
            state, hull = replace(state, front=front), hull * (1 - front)
        if not wide:
            motion, main = self._inside(before.motion, inverted, edited, hull * weight, mode, elapsed)
            main = sharpened(main, large)
            kept = DeviceDrawn(main, masks.points, drawn.weight, drawn.seconds, detail=mode == "detail")
            state = replace(state, motion=motion, drawn=kept)
            return state, self._finished(kept, drawn, mode)
        with stages.time("matte"):
            pictures = torch.stack([drawn.face, inverted, edited])
            found, front = self._graphs.run(self._mattes, pictures, masks.hull, masks.mouth)
            matte = mattes.follow(before.matte, found[0], front, drawn.face, masks.points, elapsed)
            both = mattes.follow_drawn(before.drawn_mattes, found[1:], elapsed)
        state = replace(state, matte=matte, drawn_mattes=both)
        return self._head(before, state, drawn, (inverted, edited), large, weight, touched, mode)

    def _inside(
        self, before: DeviceMotion | None, inverted: Tensor, edited: Tensor, mask: Tensor, mode: Mode, elapsed: float
    ) -> tuple[DeviceMotion | None, DeviceLayers]:
        if mode == "replace":
            return before, replace_layers(edited, mask)
        motion = follow_motion(before, self._motion(inverted, edited), elapsed)
        return motion, detail_layers(inverted, edited, mask, motion)

    def _head(
        self, before: DeviceComposite, state: DeviceComposite, drawn: DeviceFace, pair: tuple[Tensor, Tensor],
        large: Tensor, weight: float, touched: Touched, mode: Mode,
    ) -> tuple[DeviceComposite, DeviceDrawn]:  # fmt: skip
        """As `FaceCompositor._head`. Where the matte is unsure, all that reaches beyond the hull has a mask of zero."""
        assert state.matte is not None
        assert state.drawn_mattes is not None
        elapsed, masks, (inverted, edited) = drawn.seconds - before.seconds, drawn.masks, pair
        own, (before_edit, after_edit) = state.matte.pair, state.drawn_mattes.unbind()
        sure = mattes.certain(state.matte, masks.hull)
        front = torch.maximum(state.matte.front, masks.hidden)
        hair = follow_hair(
            before.hair,
            measure_hair(drawn.face, inverted, edited, own[1], before_edit[1], after_edit[1]),
            elapsed,
        )
        motion, plate = before.motion, before.plate
        main: DeviceLayers | None = None
        if touched.head:
            inverted, edited = hair.match(inverted, before_edit[1]), hair.match(edited, after_edit[1])
            guess, turn = self._guess(masks.points, edited)
            motion = follow_motion(before.motion, self._motion(inverted, edited, *guess, turn), elapsed)
            unfree = torch.maximum(own[0], front)
            plate = background.update(before.plate, drawn.frame, drawn.quad, unfree, elapsed, self._graphs)
            behind = background.behind(plate, drawn.quad, drawn.face, unfree)
            heads = (own[0], before_edit[0], after_edit[0])
            head = head_layers(
                inverted,
                edited,
                motion,
                heads,
                behind,
                front,
                chin=masks.points[:, 1].amax(),
                replace=mode == "replace",
            )
            inside = masks.hull * (1 - state.matte.front)
            head = sharpened(head, large)
            assert head.bared is not None
            main = replace(head, mask=torch.where(sure > 0, head.mask, inside), bared=head.bared * sure)
        elif touched.face:
            motion, hull = self._inside(before.motion, inverted, edited, masks.hull * (1 - front), mode, elapsed)
            main = sharpened(hull, large)
        tint, wide = self._hair(drawn, state, front, hair, sure, touched)
        main, tint, beyond = (None if one is None else one.fading(weight) for one in (main, tint, wide))
        kept = DeviceDrawn(
            main,
            masks.points,
            drawn.weight,
            drawn.seconds,
            tint,
            beyond,
            hull=not touched.head,
            detail=mode == "detail",
        )
        state = replace(state, motion=motion, drawn=kept, plate=plate, hair=hair)
        return state, self._finished(kept, drawn, mode)

    def _hair(
        self, drawn: DeviceFace, state: DeviceComposite, front: Tensor, change: DeviceHair, sure: Tensor,
        touched: Touched,
    ) -> tuple[DeviceLayers | None, DeviceLayers]:  # fmt: skip
        assert state.matte is not None
        assert state.drawn_mattes is not None
        own, tint = state.matte.pair[1], None
        rows = torch.arange(CROP, device=own.device, dtype=torch.float32)
        fade = border_fade(rows, BORDER)
        if touched.hair:
            part = own * (1 - front)
            if touched.head:
                part = part * (1 - state.drawn_mattes[:, 1].amin(0))
            tint = hair_layers(change.apply(drawn.face), part * sure, fade)
        inside = BORDER + 2
        box = own[inside:-inside, inside:-inside]
        border = torch.cat([box[0], box[-1], box[:, 0], box[:, -1]]).mean()
        shown = sure * (border >= HAIR_AT_BORDER)
        if not touched.hair:
            shown = shown * (change.size() >= LEAST_CHANGE)
        wide = crop(drawn.frame, enlarge_quad(drawn.quad, hair_colour.WIDE))
        found, covered = self._graphs.run(self._mattes, wide[None])
        hair = found[0, 1] * (1 - covered) * fade * shown
        return tint, hair_layers(change.apply(wide), hair, _outside_of_crop(fade))

    def _motion(self, *inputs: Tensor) -> DeviceMotion:
        return DeviceMotion(*self._graphs.run(_measured_motion, *inputs))

    def _landmarks(self, picture: Tensor) -> tuple[Tensor, ...]:
        """((N, 2) landmarks of a drawing, () their presence)."""
        seen = self._mesh(picture[None].div(127.5).sub(1).clamp(-1, 1))
        return seen.points[0], seen.presence[0]

    def _front(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        assert self._matte is not None
        return (mattes.measure_front(self._matte, *inputs),)

    def _mattes(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        assert self._matte is not None
        return mattes.measure_mattes(self._matte, *inputs)

    def _finished(self, kept: DeviceDrawn, drawn: DeviceFace, mode: Mode) -> DeviceDrawn:
        if mode == "replace" or kept.layers is None:
            return kept
        return replace(kept, layers=keep_source(kept.layers, drawn.masks.mouth))

    def _match_shape(self, points: Tensor, pair: Tensor) -> Tensor:
        seen, presence = self._graphs.run(self._landmarks, resize(pair[0], CROP))
        field = displacement(points, seen) * (presence >= LEAST_PRESENCE)
        return torch.stack([warp(picture, larger(field, picture.shape[-1])) for picture in pair])

    def _guess(self, points: Tensor, edited: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        seen, presence = self._graphs.run(self._landmarks, edited)
        moved = points + (seen - points) * (presence >= LEAST_PRESENCE)
        distance = torch.hypot(*(moved - points).T).median()
        turn = ((distance - TURN[0]) / (TURN[1] - TURN[0])).clamp(0, 1)
        return (wide_displacement(moved, points), wide_displacement(points, moved)), turn


def _measured_motion(inverted: Tensor, edited: Tensor, *guess: Tensor) -> tuple[Tensor, ...]:
    """`measure_motion`; guess: the flow there and back where it is known to be large, and the turn of the head."""
    found = (
        measure_motion(inverted, edited, (guess[0], guess[1]), guess[2]) if guess else measure_motion(inverted, edited)
    )
    return found.flow, found.keep, found.agree, found.turn


def reproject(
    drawn: DeviceDrawn, masks: FaceMasks, weight: float, seconds: float, *, stale: float
) -> DeviceDrawn | None:
    """`reproject.reproject`: the layers for another frame of the same face."""
    if weight <= 0 or drawn.weight <= 0 or abs(seconds - drawn.seconds) > stale:
        return None
    if masks.points.shape != drawn.points.shape:
        return None
    field, fading = displacement(masks.points, drawn.points), min(1.0, weight / drawn.weight)

    def moved(old: DeviceLayers, *, hull: bool) -> DeviceLayers:
        new = moved_layers(old, field)
        mask = torch.minimum(new.mask, masks.hull) if hull else new.mask * (1 - masks.hidden)
        return replace(new, mask=mask).fading(fading)

    main = None if drawn.layers is None else moved(drawn.layers, hull=drawn.hull)
    if main is not None and drawn.detail:
        main = keep_source(main, masks.mouth)
    tint = None if drawn.tint is None else moved(drawn.tint, hull=False)
    beyond = None if drawn.beyond is None else drawn.beyond.fading(fading)
    return DeviceDrawn(main, masks.points, weight, seconds, tint, beyond, drawn.hull, drawn.detail)


def between(first: DeviceDrawn | None, second: DeviceDrawn | None, share: float) -> DeviceDrawn | None:
    """`reproject.between`."""
    if first is None or second is None:
        return second if first is None else first
    blended = (
        device_layers.between(getattr(first, name), getattr(second, name), share)
        for name in ("layers", "tint", "beyond")
    )
    layers, tint, beyond = blended
    return replace(second, layers=layers, tint=tint, beyond=beyond)


def place(frame: Tensor, quad: Quad, drawn: DeviceDrawn) -> Tensor:
    """`face_compositor.place`."""
    if drawn.beyond is not None:
        frame = compose(frame, enlarge_quad(quad, hair_colour.WIDE), drawn.beyond)
    for layers in (drawn.layers, drawn.tint):
        if layers is not None:
            frame = compose(frame, quad, layers)
    return frame


def _outside_of_crop(fade: Tensor) -> Tensor:
    """`hair_colour.outside_of_crop`."""
    size = round(CROP / hair_colour.WIDE)
    inner = torch.nn.functional.interpolate(fade[None, None], (size, size), mode="area")[0, 0]
    first = (CROP - size) // 2
    return 1 - torch.nn.functional.pad(inner, (first, CROP - size - first) * 2)
