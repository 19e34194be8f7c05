// Record what is shown, and say in the file that it is edited.

const TYPES = ["video/webm;codecs=vp9,opus", "video/webm;codecs=vp8,opus", "video/webm", "video/mp4"];
const CLUSTER = [0x1f, 0x43, 0xb6, 0x75];

export class Recorder {
  constructor(canvas, sound) {
    const type = TYPES.find((name) => MediaRecorder.isTypeSupported(name));
    const tracks = [...canvas.captureStream().getVideoTracks(), ...(sound?.getAudioTracks() ?? [])];
    this.parts = [];
    this.recorder = new MediaRecorder(new MediaStream(tracks), { mimeType: type });
    this.recorder.addEventListener("dataavailable", ({ data }) => this.parts.push(data));
    this.recorder.start(1000);
  }

  // Resolves to {name, blob}.
  async stop() {
    await new Promise((done) => { this.recorder.addEventListener("stop", done); this.recorder.stop(); });
    const type = this.recorder.mimeType.split(";")[0], suffix = type.split("/")[1];
    const blob = new Blob(this.parts, { type });
    const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
    return { name: `dynstream-${stamp}-edited.${suffix}`, blob: suffix === "webm" ? await tagged(blob, type) : blob };
  }
}

// A WebM with tags before its first cluster; a recorder's segment has no fixed size and no index that would move.
async function tagged(blob, type) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const at = find(bytes, CLUSTER);
  return at < 0 ? blob : new Blob([bytes.subarray(0, at), tags(), bytes.subarray(at)], { type });
}

export function tags() {
  const text = new TextEncoder();
  const pair = (name, value) => element([0x67, 0xc8], [...element([0x45, 0xa3], text.encode(name)), ...element([0x44, 0x87], text.encode(value))]);
  const body = [...element([0x63, 0xc0], []), ...pair("TITLE", "Edited with dynstream"), ...pair("COMMENT", "The faces in this recording are edited.")];
  return Uint8Array.from(element([0x12, 0x54, 0xc3, 0x67], element([0x73, 0x73], body)));
}

function element(id, content) {
  return [...id, 0x40 | (content.length >> 8), content.length & 255, ...content]; // sizes below 2^14
}

function find(bytes, wanted) {
  for (let i = 0; i + wanted.length <= bytes.length; i++) if (wanted.every((byte, k) => bytes[i + k] === byte)) return i;
  return -1;
}
