// A link by which others watch the edited picture, until it is taken back.

import { $ } from "./dom.js";

export const shareLink = (session, key, page) => new URL(`#watch=${encodeURIComponent(session)}&key=${encodeURIComponent(key)}`, page.split("#")[0]).href;

export class Share {
  // ask(type, fields): a control message, resolves to null where it was refused. said(text): tells the user.
  constructor(ask, said) {
    Object.assign(this, { ask, said });
    $("share").addEventListener("click", () => this.#open($("share-panel").hidden));
    $("share-copy").addEventListener("click", () => this.#copy());
    $("share-stop").addEventListener("click", () => this.#stop());
  }

  // A new connection with this session, which may be another one.
  connected(session) {
    this.session = session;
    if (!$("share-panel").hidden) this.#on();
  }

  // No connection on purpose: the link is void.
  close() {
    this.#hide();
  }

  async #open(on) {
    if (!on) return this.#hide();
    if (!(await this.#on())) return;
    $("share-panel").hidden = false;
    $("share").setAttribute("aria-expanded", true);
    $("share-link").select();
  }

  async #on() {
    const reply = await this.ask("share", { on: true });
    if (reply?.share) $("share-link").value = shareLink(this.session, reply.share, location.href);
    return reply?.share;
  }

  #hide() {
    $("share-panel").hidden = true;
    $("share").setAttribute("aria-expanded", false);
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText($("share-link").value);
      this.said("The link is copied");
    } catch {
      $("share-link").select();
      this.said("Copy the marked link");
    }
  }

  async #stop() {
    if (!(await this.ask("share", { on: false }))) return;
    this.#hide();
    $("share").focus();
    this.said("The link is taken back: nobody watches any more");
  }
}
