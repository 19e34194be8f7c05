// Where the picture comes from: a camera, a file or the screen, drawn onto a canvas with a stamp on every frame.

import { CYCLE, now, stampRows, writeStamp } from "./stamp.js";

const KEPT = 90; // source frames that wait for their edited ones

export class Source {
  // limits: `video` of the server's configuration. shown: canvas of the source picture.
  constructor(limits, shown) {
    this.limits = limits;
    this.shown = shown;
    this.synced = false; // whether `shown` shows the frame of the edited picture, not the newest
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.kept = new Map();
    this.running = false;
  }

  // Resolves to the MediaStream to send. kind: "camera", "file" (with `file`) or "screen".
  async open(kind, file, sound) {
    let audio = [];
    if (kind === "file") {
      if (!file) throw new Error("choose a video file first");
      this.video.src = URL.createObjectURL(file);
      this.video.loop = true;
      await this.#ready(`${file.name} cannot be played by this browser; try an MP4 with H.264 or a WebM`);
      if (sound) audio = await this.#soundOfFile();
    } else {
      const { max_width: width, max_height: height, max_frame_rate: rate } = this.limits;
      const wanted = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: rate, max: rate } };
      this.given = kind === "screen"
        ? await navigator.mediaDevices.getDisplayMedia({ video: wanted, audio: sound })
        : await navigator.mediaDevices.getUserMedia({ video: wanted, audio: sound });
      this.video.srcObject = this.given;
      this.given.getVideoTracks()[0].addEventListener("ended", () => this.onended?.());
      audio = this.given.getAudioTracks();
      await this.#ready("the source gives no picture");
    }
    this.#fit();
    this.running = true;
    this.#next();
    return new MediaStream([...this.canvas.captureStream(this.limits.max_frame_rate).getVideoTracks(), ...audio]);
  }

  // Width over height of what is shown.
  get aspect() {
    return this.canvas.width / (this.canvas.height - stampRows(this.canvas.height));
  }

  close() {
    this.running = false;
    this.given?.getTracks().forEach((track) => track.stop());
    this.audio?.close();
    this.video.pause();
    if (this.video.src) URL.revokeObjectURL(this.video.src);
    this.video.removeAttribute("src");
    this.video.srcObject = null;
    for (const picture of this.kept.values()) picture.close();
    this.kept.clear();
  }

  // Show the source frame that carried `number`, and forget those before it.
  show(number) {
    const picture = this.kept.get(number);
    if (!picture) return;
    this.synced = true;
    this.#draw(picture);
    for (const [other, old] of this.kept) {
      if ((number - other + CYCLE) % CYCLE < CYCLE / 2) { old.close(); this.kept.delete(other); }
    }
  }

  async #ready(problem) {
    await new Promise((done, failed) => {
      this.video.onloadeddata = done;
      this.video.onerror = () => failed(new Error(problem));
    });
    await this.video.play();
  }

  async #soundOfFile() {
    this.audio = new AudioContext();
    const sink = this.audio.createMediaStreamDestination();
    this.video.muted = false; // it goes to the server, not to the loudspeaker
    this.audio.createMediaElementSource(this.video).connect(sink);
    await this.audio.resume();
    return sink.stream.getAudioTracks();
  }

  #fit() {
    const { videoWidth: width, videoHeight: height } = this.video;
    const factor = Math.min(1, this.limits.max_width / width, this.limits.max_height / height);
    this.canvas.width = Math.max(64, 2 * Math.round((width * factor) / 2));
    this.canvas.height = Math.max(64, 2 * Math.round((height * factor) / 2));
  }

  #next() {
    if (!this.running) return;
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(() => this.#frame());
    else requestAnimationFrame(() => this.#frame());
  }

  #frame() {
    const { width, height } = this.canvas, number = now();
    this.context.drawImage(this.video, 0, 0, width, height);
    writeStamp(this.context, width, height, number);
    if (!this.synced) this.#draw(this.canvas);
    createImageBitmap(this.canvas).then((picture) => {
      this.kept.set(number, picture);
      if (this.kept.size <= KEPT) return;
      const [oldest] = this.kept.keys();
      this.kept.get(oldest).close();
      this.kept.delete(oldest);
      this.synced = false; // nothing comes back: show what is new
    });
    this.#next();
  }

  #draw(picture) {
    drawWithoutStamp(this.shown, picture, picture.width, picture.height);
  }
}

// Where a click on a picture points: [x, y] in 0..1 of the picture that is sent, whose stamp rows are not shown; null
// beside it. box: the canvas on the screen, in which the picture is fitted as by `object-fit: contain`.
export function placeIn(box, width, height, clientX, clientY) {
  const scale = Math.min(box.width / width, box.height / height);
  const x = ((clientX - box.left - box.width / 2) / scale + width / 2) / width;
  const y = ((clientY - box.top - box.height / 2) / scale + height / 2) / height;
  if (!(x >= 0 && x <= 1 && y >= 0 && y <= 1)) return null;
  let rows = 4; // those that were cut off, from the height that was left; the whole is even
  while (stampRows(height + rows) > rows || (height + rows) % 2) rows += 1;
  return [x, (rows + y * height) / (height + rows)];
}

// Draw a stamped picture without its stamp, the canvas taking its size.
export function drawWithoutStamp(canvas, picture, width, height) {
  const rows = stampRows(height);
  if (canvas.width !== width || canvas.height !== height - rows) {
    canvas.width = width;
    canvas.height = height - rows;
  }
  canvas.getContext("2d", { alpha: false }).drawImage(picture, 0, rows, width, height - rows, 0, 0, width, height - rows);
}
