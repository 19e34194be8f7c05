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
    this.lastFrame = performance.now();
    this.numbers(1);
    this.#next();
  }

  take(track) {
    const element = track.kind === "video" ? this.video : this.sound;
    element.srcObject = new MediaStream([track]);
    element.play().catch(() => {}); // sound waits for a click where the browser wants one
  }

  // Nothing old is shown, heard or counted.
  clear() {
    this.video.srcObject = this.sound.srcObject = null;
    this.shown.getContext("2d", { alpha: false }).fillRect(0, 0, this.shown.width, this.shown.height);
    this.numbers(1);
  }

  // Frames and ages since the last call: {fps, age_ms: {p50, p95} | null}.
  numbers(seconds) {
    const { ages = [], frames = 0 } = this, at = (share) => ages[Math.min(ages.length - 1, Math.floor(share * ages.length))];
    ages.sort((a, b) => a - b);
    Object.assign(this, { ages: [], frames: 0 });
    return { fps: frames / seconds, age_ms: ages.length ? { p50: at(0.5), p95: at(0.95) } : null };
  }

  #next() {
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(() => this.#frame());
    else requestAnimationFrame(() => this.#frame());
  }

  #frame() {
    const { videoWidth: width, videoHeight: height, srcObject } = this.video;
    if (srcObject && width && height && (this.video.requestVideoFrameCallback || this.video.currentTime !== this.time)) {
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
