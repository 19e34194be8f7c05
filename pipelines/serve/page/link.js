// One peer connection with the server: offer, answer, and the control messages on its data channel.

import { decode, encode } from "./msgpack.js";

const GATHER_SECONDS = 5, OPEN_SECONDS = 10;

export const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

// The server's answer to a control message that it did not carry out.
export class Rejected extends Error {}

export class Link {
  // told(message): a message that answers no request.
  constructor(config, stream, told) {
    Object.assign(this, { config, told, waiting: new Map(), next: 1, tracks: [] });
    const peer = (this.peer = new RTCPeerConnection({ iceServers: config.ice_servers ?? [] }));
    for (const track of stream.getTracks()) peer.addTransceiver(track, { direction: "sendrecv", streams: [stream] });
    peer.addEventListener("track", ({ track, receiver }) => {
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      this.tracks.push(track);
    });
    this.channel = Object.assign(peer.createDataChannel(config.channel.label), { binaryType: "arraybuffer" });
    this.channel.addEventListener("message", ({ data }) => this.#receive(data));
  }

  // post(sdp) resolves to the server's answer. Resolves to {answer, hello} when the channel is open.
  async open(post) {
    const { peer, channel } = this, open = new Promise((done) => channel.addEventListener("open", () => done(true)));
    await peer.setLocalDescription();
    await Promise.race([gathered(peer), wait(GATHER_SECONDS)]);
    const answer = await post(peer.localDescription.sdp);
    await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    if (!(await Promise.race([open, wait(OPEN_SECONDS)]))) throw new Error("no way to the server's media port; is UDP blocked?");
    return { answer, hello: await this.ask("hello", { versions: [this.config.protocol] }) };
  }

  // A control message; resolves to the reply, rejects with Rejected, or with another error where it was not heard.
  ask(type, fields = {}) {
    if (this.channel.readyState !== "open") return Promise.reject(new Error("not connected"));
    const id = this.next++;
    this.channel.send(encode({ ...fields, type, id }));
    return new Promise((done, failed) => this.waiting.set(id, { done, failed }));
  }

  // A wish; the server holds its own limits.
  async limitBitrate(bits) {
    const sender = this.#sender("video"), parameters = sender.getParameters();
    for (const encoding of parameters.encodings ?? []) encoding.maxBitrate = bits;
    await sender.setParameters(parameters).catch(() => {});
  }

  replaceSound(track) {
    return this.#sender("audio")?.replaceTrack(track);
  }

  get isOpen() {
    return this.channel.readyState === "open";
  }

  close() {
    for (const { failed } of this.waiting.values()) failed(new Error("the connection was lost"));
    this.waiting.clear();
    this.peer.close();
  }

  #sender(kind) {
    return this.peer.getTransceivers().find(({ receiver }) => receiver.track.kind === kind)?.sender;
  }

  #receive(data) {
    const message = decode(data), waiting = this.waiting.get(message.id);
    if (!waiting) return this.told(message);
    this.waiting.delete(message.id);
    if (message.type === "ok") waiting.done(message);
    else waiting.failed(new Rejected(message.message));
  }
}

export function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && done()));
}
