// Shows the state of the page: in the header, and over the picture.

import { $, make } from "./dom.js";
import { ACTIONS, STATES } from "./states.js";

export class Overlay {
  // act(action): one of ACTIONS was chosen. covered(): the picture is covered, so that nothing old may stay.
  constructor(act, covered) {
    Object.assign(this, { act, covered, state: "idle" });
  }

  say(state, detail = {}) {
    const { lamp, text, title, body = "", actions = [], busy = false } = STATES[state];
    this.state = state;
    $("status").dataset.state = state;
    $("status").dataset.lamp = lamp;
    $("status-text").textContent = state === "queue" && detail.place ? `${text}, you are number ${detail.place}` : text;
    $("overlay").hidden = !title;
    if (!title) return;
    $("overlay-title").textContent = title;
    $("overlay-body").textContent = typeof body === "function" ? body(detail) : body;
    $("overlay-spinner").hidden = !busy;
    const buttons = actions.map((action, place) => {
      const button = make("button", { type: "button", className: place ? "" : "primary", textContent: ACTIONS[action] });
      button.addEventListener("click", () => this.act(action));
      return button;
    });
    $("overlay-actions").replaceChildren(...buttons);
    if (buttons.length) buttons[0].focus({ preventScroll: true });
    this.covered();
  }
}
