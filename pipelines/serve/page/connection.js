// One session with the server over as many links as it takes: queue, loss, return, restart of the server.

import { Link, wait } from "./link.js";
import { forGood } from "./kept.js";
import { untilLost } from "./lost.js";
import { Refused, request } from "./requests.js";

const BACKOFF = [1, 2, 4, 8]; // seconds
const CLOSE_SECONDS = 0.2, RELOAD_SECONDS = 10;
const PLACE = "place"; // {session, resume}: a reloaded or killed page takes its own place back

// Events: "state" (detail: {state, place}), "tracks" (detail: a list), "hello" (detail: reply), "message".
export class Connection extends EventTarget {
  // settings(): those of the offer. lastFrame(): when a picture came last, in ms.
  constructor(config, token, stream, settings, lastFrame) {
    super();
    Object.assign(this, { config, token, stream, settings, lastFrame, closed: false, place: forGood.read(PLACE), fresh: true });
  }

  // Until it is closed. Raises Refused where trying again is of no use.
  async run() {
    await this.#reach();
    while (!this.closed) {
      const { moving } = await this.#untilLost();
      if (this.closed) return;
      this.#say(moving ? "away" : "lost");
      this.#drop();
      await (moving ?? this.#reach());
    }
  }

  ask(type, fields) {
    return this.link ? this.link.ask(type, fields) : Promise.reject(new Error("not connected"));
  }

  limitBitrate(bits) {
    this.bitrate = bits;
    return this.link?.limitBitrate(bits);
  }

  replaceSound(track) {
    const [old] = this.stream.getAudioTracks();
    if (old) this.stream.removeTrack(old);
    this.stream.addTrack(track); // for the next link
    return this.link?.replaceSound(track);
  }

  // The end, on purpose: the session gives its place up.
  close() {
    if (this.closed) return;
    this.ask("bye").catch(() => {});
    if (!this.link?.isOpen) this.#tellGone();
    forGood.write(PLACE, null);
    this.leave(CLOSE_SECONDS);
  }

  // The page goes. Nobody knows whether it is closed or reloads: the session waits for a moment.
  away() {
    if (!this.closed) this.#tellGone(`?grace=${RELOAD_SECONDS}`);
    this.leave();
  }

  leave(seconds = 0) {
    this.closed = true;
    if (seconds) setTimeout(() => this.#drop(), 1000 * seconds);
    else this.#drop();
  }

  // For tests and for a change of network: the link goes, the session stays.
  breakOff() {
    this.link?.peer.close();
  }

  async #connect() {
    const link = new Link(this.config, this.stream, (message) => this.#told(link, message));
    try {
      const { answer, hello } = await link.open((sdp) => this.#offer(sdp));
      this.place = { session: answer.session, resume: answer.resume };
      forGood.write(PLACE, this.place);
      await link.limitBitrate(this.bitrate ?? this.config.video.max_bitrate);
      if (this.closed) throw new Error("closed meanwhile");
      const seen = Boolean(this.link); // the picture of the old link, until the new one's comes
      this.#drop();
      Object.assign(this, { link, fresh: false, ticket: undefined });
      if (!seen) this.#say("waiting");
      this.dispatchEvent(new CustomEvent("tracks", { detail: link.tracks }));
      this.dispatchEvent(new CustomEvent("hello", { detail: { rate: answer.rate, ...hello } }));
    } catch (error) {
      link.close();
      throw error;
    }
  }

  async #offer(sdp) {
    const body = { protocol: this.config.protocol, type: "offer", sdp, resume: this.place?.resume, ticket: this.ticket, settings: this.settings() };
    if (this.place && this.fresh) body.takeover = "stale"; // another tab may be using it
    try {
      return await request("POST", this.place ? `offer/${this.place.session}` : "offer", this.token, body);
    } catch (error) {
      if (!this.place || error.status !== 404) throw error;
      return request("POST", "offer", this.token, body); // the session is gone
    }
  }

  // Connects, again and again where need be. old: a link that still shows its picture, so that nothing is said.
  async #reach(old) {
    const say = (state, detail) => (!old || this.link !== old) && this.#say(state, detail);
    for (let failures = 0; !this.closed; failures += 1) {
      try {
        say(this.fresh ? "connecting" : "returning");
        return await this.#connect();
      } catch (error) {
        if (this.closed) return;
        if (!(error instanceof Refused)) say("noway", { message: error instanceof TypeError ? undefined : error.message });
        else if ([429, 503].includes(error.status)) {
          this.ticket = error.queue?.ticket;
          say({ starting: "starting", restarting: "away" }[error.reason] ?? "queue", { place: error.queue?.place });
        } else throw error;
        await wait(error.retryAfter ?? BACKOFF[Math.min(failures, BACKOFF.length - 1)]);
      }
    }
  }

  // Resolves when the link is dead: {moving} is a promise of the next one, where the server has said that it restarts.
  async #untilLost() {
    let link;
    do {
      link = this.link;
      await untilLost(link.peer, this.lastFrame, () => this.closed || this.link !== link);
    } while (!this.closed && this.link !== link); // a restart replaced it
    return { moving: link.moving };
  }

  #told(link, message) {
    if (message.notice === "restarting" && !link.moving) {
      link.moving = this.#reach(link); // the old link shows its picture until the new one is open
      link.moving.catch(() => {}); // `run` sees it when the old one has gone
    }
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  #tellGone(how = "") {
    if (this.place) request("DELETE", `offer/${this.place.session}${how}`, this.place.resume).catch(() => {});
  }

  #drop() {
    this.link?.close();
    this.link = undefined;
  }

  #say(state, detail) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, ...detail } }));
  }
}
