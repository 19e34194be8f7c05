// The edited picture as it comes back: shown without its stamp, its age measured.

import { elapsed, readStamp, stampRows } from "./stamp.js";
import { drawWithoutStamp } from "./source.js";

export class Result {
  // onframe(number | null): called for every new picture, with the number of its stamp.
  constructor(shown, onframe) {
    this.shown = shown;
    this.onframe = onframe;
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, autoplay: true });
    this.sound = Object.assign(document.createElement("audio"), { autoplay: true });
    this.probe = document.createElement("canvas").getContext("2d", { alpha: false, willReadFrequently: true });
    this.frames = 0;
    this.ages = [];
    this.lastFrame = performance.now();
    this.#next();
  }

  take(track) {
    const element = track.kind === "video" ? this.video : this.sound;
    element.srcObject = new MediaStream([track]);
    element.play().catch(() => {}); // sound waits for a click where the browser wants one
  }

  // Frames and ages since the last call: {fps, age_ms: {p50, p95} | null}.
  numbers(seconds) {
    const ages = this.ages.sort((a, b) => a - b), frames = this.frames;
    this.ages = [];
    this.frames = 0;
    const at = (share) => ages[Math.min(ages.length - 1, Math.floor(share * ages.length))];
    return { fps: frames / seconds, age_ms: ages.length ? { p50: at(0.5), p95: at(0.95) } : null };
  }

  #next() {
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(() => this.#frame());
    else requestAnimationFrame(() => this.#frame());
  }

  #frame() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (width && height && (this.video.requestVideoFrameCallback || this.video.currentTime !== this.time)) {
      this.time = this.video.currentTime;
      const rows = stampRows(height), canvas = this.probe.canvas;
      if (canvas.width !== width || canvas.height !== rows) { canvas.width = width; canvas.height = rows; }
      this.probe.drawImage(this.video, 0, 0, width, rows, 0, 0, width, rows);
      const number = readStamp(this.probe, width, height);
      if (number !== null) this.ages.push(elapsed(number));
      drawWithoutStamp(this.shown, this.video, width, height);
      this.frames += 1;
      this.lastFrame = performance.now();
      this.onframe(number);
    }
    this.#next();
  }
}
