// Short messages: seen for some seconds, and read out.

import { make } from "./dom.js";

const SECONDS = 7, MOST = 3;

export class Toast {
  constructor(place) {
    this.place = place;
  }

  // problem: something that the user asked for was not done.
  say(text, problem = false) {
    const box = make("p", { textContent: text, className: problem ? "toast problem" : "toast" });
    this.place.append(box); // the place is a live region
    while (this.place.children.length > MOST) this.place.firstChild.remove();
    setTimeout(() => box.remove(), 1000 * SECONDS);
  }
}
