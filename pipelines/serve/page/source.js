// Where the picture comes from: a camera, a file or the screen, drawn onto a canvas with a stamp on every frame.

import { Pace } from "./pace.js";
import { CYCLE, now, stampRows, writeStamp } from "./stamp.js";

const KEPT = 90; // source frames that wait for their edited ones

export class Source {
  // limits: `video` of the server's configuration. shown: canvas of the source picture.
  constructor(limits, shown) {
    this.limits = limits;
    this.shown = shown;
    this.synced = false; // whether `shown` shows the frame of the edited picture, not the newest
    this.mirror = false; // the picture is sent, shown and recorded mirrored, so that the mark on it can be read
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.kept = new Map();
    this.pace = new Pace(limits.max_frame_rate);
    this.quality = { size: 1, rate: Infinity };
    this.running = false;
  }

  // Resolves to the MediaStream to send. kind: "camera", "file" (with `file`) or "screen"; devices: see `use`.
  async open(kind, { file, sound, devices = {} }) {
    let audio = [];
    this.kind = kind;
    if (kind === "file") {
      if (!file) throw new Error("choose a video file first");
      this.video.src = URL.createObjectURL(file);
      this.video.loop = true;
      await this.#ready(`${file.name} cannot be played by this browser; try an MP4 with H.264 or a WebM`);
      if (sound) audio = await this.#soundOfFile();
    } else {
      const track = await this.use(devices, sound);
      if (track) audio = [track];
    }
    this.running = true;
    this.#next();
    return new MediaStream([...this.canvas.captureStream(this.limits.max_frame_rate).getVideoTracks(), ...audio]);
  }

  // Take these devices, {camera, microphone} by id, in place of those before. Resolves to the audio track, if any.
  async use({ camera, microphone }, sound) {
    if (!navigator.mediaDevices) throw Object.assign(new Error("no camera here"), { name: "InsecureError" });
    const { max_width: width, max_height: height, max_frame_rate: rate } = this.limits;
    const wanted = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: rate, max: rate } };
    const video = { ...wanted, ...(camera && { deviceId: { ideal: camera } }) };
    const audio = sound && { ...(microphone && { deviceId: { ideal: microphone } }) };
    const given = this.kind === "screen"
      ? await navigator.mediaDevices.getDisplayMedia({ video: wanted, audio: sound })
      : await navigator.mediaDevices.getUserMedia({ video, audio }).catch((error) => {
        if (!sound || error.name !== "NotFoundError") throw error;
        return navigator.mediaDevices.getUserMedia({ video }); // it may be the microphone alone that is missing
      });
    this.given?.getTracks().forEach((track) => track.stop());
    this.given = this.video.srcObject = given;
    const [track] = given.getVideoTracks();
    track.addEventListener("ended", () => this.given === given && this.onended?.());
    await this.#ready("the source gives no picture");
    return given.getAudioTracks()[0];
  }

  // {camera, microphone}: ids of the devices in use.
  get devices() {
    const id = (kind) => this.given?.getTracks().find((track) => track.kind === kind)?.getSettings().deviceId;
    return { camera: id("video"), microphone: id("audio") };
  }

  // "user" or "environment", where the camera tells.
  get facing() {
    return this.given?.getVideoTracks()[0].getSettings().facingMode;
  }

  // quality: {size: share of the largest side, rate: most frames a second}.
  setQuality(quality) {
    this.quality = quality;
    this.setRate(this.asked ?? this.limits.max_frame_rate);
    if (this.video.videoWidth) this.#fit();
  }

  // What the server asks for, in frames a second.
  setRate(rate) {
    this.asked = rate;
    this.pace.rate = Math.min(rate, this.quality.rate);
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
    this.#fit();
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
    const { videoWidth: width, videoHeight: height } = this.video, { size } = this.quality;
    const factor = size * Math.min(1, this.limits.max_width / width, this.limits.max_height / height);
    this.canvas.width = Math.max(64, 2 * Math.round((width * factor) / 2));
    this.canvas.height = Math.max(64, 2 * Math.round((height * factor) / 2));
    this.onsize?.(this.aspect);
  }

  #next() {
    if (!this.running) return;
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(() => this.#frame());
    else requestAnimationFrame(() => this.#frame());
  }

  #frame() {
    if (this.pace.take(performance.now())) this.#send();
    this.#next();
  }

  #send() {
    const { width, height } = this.canvas, number = now();
    this.context.setTransform(this.mirror ? -1 : 1, 0, 0, 1, this.mirror ? width : 0, 0);
    this.context.drawImage(this.video, 0, 0, width, height);
    this.context.resetTransform();
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
