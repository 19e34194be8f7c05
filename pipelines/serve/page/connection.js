// One session with the server over as many peer connections as it takes: offer, data channel, resume.

import { decode, encode } from "./msgpack.js";

const BACKOFF = [1, 2, 4, 8]; // seconds
const LOST_SECONDS = 2, FROZEN_SECONDS = 3, GATHER_SECONDS = 5;

const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

export class Refused extends Error {
  constructor(status, error, retryAfter) {
    super(error?.message ?? `the server answered ${status}`);
    Object.assign(this, { status, reason: error?.name, retryAfter });
  }
}

export async function request(method, path, token, body) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, data.error, Number(answer.headers.get("Retry-After")) || undefined);
  return data;
}

// Events: "state" (detail: {state, message}), "track", "hello" (detail: reply, resumed), "message".
export class Connection extends EventTarget {
  constructor(config, token, stream, settings) {
    super();
    Object.assign(this, { config, token, stream, settings, closed: false, next: 1, waiting: new Map(), lastFrame: () => 0 });
  }

  async run() {
    for (let failures = 0; !this.closed; ) {
      this.#say(failures || this.resume ? "reconnecting" : "connecting");
      try {
        await this.#connect();
        failures = 0;
        await this.#untilLost();
        if (!this.closed) this.#say("lost", "The connection was lost");
      } catch (error) {
        if (this.closed) return;
        const overloaded = error instanceof Refused && [429, 503].includes(error.status);
        if (error instanceof Refused && !overloaded) throw error;
        this.#say(overloaded ? "overloaded" : "lost", error.message);
        this.#drop();
        await wait(error.retryAfter ?? BACKOFF[Math.min(failures, BACKOFF.length - 1)]);
        failures += 1;
      }
      this.#drop();
    }
  }

  // A control message; resolves to the reply, rejects with the server's message.
  ask(type, fields = {}) {
    if (this.channel?.readyState !== "open") return Promise.reject(new Error("not connected"));
    const id = this.next++;
    this.channel.send(encode({ ...fields, type, id }));
    return new Promise((done, failed) => this.waiting.set(id, { done, failed }));
  }

  close() {
    if (this.closed) return;
    this.ask("bye").catch(() => {});
    this.closed = true;
    const { session, resume } = this;
    if (session && this.channel?.readyState !== "open") request("DELETE", `offer/${session}`, resume).catch(() => {});
    setTimeout(() => this.#drop(), 200);
    this.#say("idle");
  }

  // For tests and for a change of network: the peer connection goes, the session stays.
  breakOff() {
    this.peer?.close();
    this.broken = true;
  }

  async #connect() {
    const peer = (this.peer = new RTCPeerConnection({ iceServers: this.config.ice_servers ?? [] }));
    this.broken = false;
    for (const track of this.stream.getTracks()) peer.addTransceiver(track, { direction: "sendrecv", streams: [this.stream] });
    peer.addEventListener("track", ({ track, receiver }) => {
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      this.dispatchEvent(new CustomEvent("track", { detail: track }));
    });
    const { label } = this.config.channel;
    this.channel = Object.assign(peer.createDataChannel(label), { binaryType: "arraybuffer" });
    this.channel.addEventListener("message", ({ data }) => this.#receive(data));
    const open = new Promise((done) => this.channel.addEventListener("open", done));
    await peer.setLocalDescription();
    await Promise.race([this.#gathered(peer), wait(GATHER_SECONDS)]);
    const answer = await request("POST", "offer", this.token, {
      protocol: this.config.protocol, type: "offer", sdp: peer.localDescription.sdp, resume: this.resume, settings: this.settings(),
    });
    await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    Object.assign(this, { resume: answer.resume, session: answer.session });
    await this.#limitBitrate(peer);
    const opened = await Promise.race([open.then(() => true), this.#untilLost(), wait(10)]);
    if (!opened) throw new Error("no way to the server's media port; is UDP blocked?");
    const hello = await this.ask("hello", { versions: [this.config.protocol] });
    this.connectedAt = performance.now();
    this.#say("live");
    this.dispatchEvent(new CustomEvent("hello", { detail: { ...hello, resumed: answer.resumed } }));
  }

  #gathered(peer) {
    if (peer.iceGatheringState === "complete") return Promise.resolve();
    return new Promise((done) => peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && done()));
  }

  async #limitBitrate(peer) {
    const sender = peer.getSenders().find(({ track }) => track?.kind === "video");
    const parameters = sender.getParameters();
    for (const encoding of parameters.encodings ?? []) encoding.maxBitrate = this.config.video.max_bitrate;
    await sender.setParameters(parameters).catch(() => {}); // a wish; the server holds its own limits
  }

  async #untilLost() {
    const { peer } = this;
    for (let disconnected = 0; !this.closed; await wait(0.25)) {
      if (this.broken || ["failed", "closed"].includes(peer.connectionState)) return;
      disconnected = peer.connectionState === "disconnected" ? disconnected + 0.25 : 0;
      if (disconnected >= LOST_SECONDS) return;
      const seen = Math.max(this.lastFrame(), this.connectedAt ?? Infinity);
      if (!document.hidden && performance.now() - seen > 1000 * FROZEN_SECONDS) return;
    }
  }

  #receive(data) {
    const message = decode(data), waiting = this.waiting.get(message.id);
    if (!waiting) return this.dispatchEvent(new CustomEvent("message", { detail: message }));
    this.waiting.delete(message.id);
    if (message.type === "ok") waiting.done(message);
    else waiting.failed(new Error(message.message));
  }

  #drop() {
    for (const { failed } of this.waiting.values()) failed(new Error("the connection was lost"));
    this.waiting.clear();
    this.connectedAt = undefined;
    this.peer?.close();
  }

  #say(state, message) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, message } }));
  }
}
