// Watch somebody's edited picture by the link that they shared (WHEP).

import { gathered, wait } from "./link.js";
import { untilLost } from "./lost.js";
import { send } from "./requests.js";

const RETRY_SECONDS = 3, GATHER_SECONDS = 5;

// {session, key} of a page's fragment, undefined where it has none.
export function invitation(hash) {
  const fields = new URLSearchParams(hash.slice(1));
  return fields.get("watch") && fields.get("key") ? { session: fields.get("watch"), key: fields.get("key") } : undefined;
}

// Events: "state" (detail: {state}), "tracks" (detail: a list).
export class Watching extends EventTarget {
  constructor({ session, key }, lastFrame) {
    super();
    Object.assign(this, { session, key, lastFrame, closed: false });
  }

  async run() {
    while (!this.closed) {
      try {
        this.#say("connecting");
        await this.#connect();
        await untilLost(this.peer, this.lastFrame, () => this.closed);
        this.#say("lost");
      } catch (error) {
        if ([401, 403, 404].includes(error.status)) return this.#say("unshared");
        this.#say({ 503: "fullhouse", 429: "fullhouse" }[error.status] ?? "noway");
        await wait(error.retryAfter ?? RETRY_SECONDS);
      } finally {
        this.#drop();
      }
    }
  }

  close() {
    this.closed = true;
    this.#drop();
  }

  async #connect() {
    const { data: config } = await send("GET", "api/config", this.key), tracks = [];
    const peer = (this.peer = new RTCPeerConnection({ iceServers: config.ice_servers ?? [] }));
    for (const kind of ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
    peer.addEventListener("track", ({ track }) => tracks.push(track));
    await peer.setLocalDescription();
    await Promise.race([gathered(peer), wait(GATHER_SECONDS)]);
    const path = `whep/${encodeURIComponent(this.session)}`, { data, headers } = await send("POST", path, this.key, peer.localDescription.sdp);
    this.resource = new URL(headers.get("Location"), new URL(path, location.href)).href;
    await peer.setRemoteDescription({ type: "answer", sdp: data });
    this.#say("waiting");
    this.dispatchEvent(new CustomEvent("tracks", { detail: tracks }));
  }

  #drop() {
    this.peer?.close();
    if (this.resource) send("DELETE", this.resource, this.key).catch(() => {});
    this.resource = undefined;
  }

  #say(state) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state } }));
  }
}
