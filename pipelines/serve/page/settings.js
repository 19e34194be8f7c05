// What is chosen under Settings and before the start: kept by this browser, told to whom it concerns.

import { $ } from "./dom.js";
import { forGood } from "./kept.js";

const KEY = "choices";
const OF_SERVER = { mode: "mode", latency: "max_latency_ms", faces: "faces" }; // id of the control -> field of `state`
const KEPT = ["kind", "sound", "mirror", "quality", "layout", "mode", "latency", "faces"];

// What a quality means: share of the largest size, most frames a second, share of the highest bit rate.
export const QUALITIES = { best: { size: 1, rate: Infinity, bitrate: 1 }, medium: { size: 2 / 3, rate: 24, bitrate: 0.5 }, low: { size: 0.5, rate: 15, bitrate: 0.25 } };

export class Settings {
  // changed(name, value): the user has chosen. value: text, or a boolean of a check box.
  constructor(changed) {
    const kept = forGood.read(KEY, {});
    $("mirror").checked = true;
    for (const id of KEPT) {
      const control = $(id), property = control.type === "checkbox" ? "checked" : "value";
      if (id in OF_SERVER && id in kept) this.#put(id, kept[id]);
      else if (id in kept) control[property] = kept[id];
      if (control.selectedIndex === -1) control.selectedIndex = 0; // an option of another version
      control.addEventListener("change", () => {
        forGood.write(KEY, { ...forGood.read(KEY, {}), [id]: control[property] });
        changed(id, control[property]);
      });
    }
    this.chosen = Object.keys(OF_SERVER).filter((id) => id in kept); // the server's own values hold until somebody chooses
    for (const id of Object.keys(OF_SERVER)) $(id).addEventListener("change", () => this.chosen.push(id));
  }

  get quality() {
    return QUALITIES[$("quality").value] ?? QUALITIES.best;
  }

  // Fields of an offer's `settings`. A face that was clicked on is chosen in its session alone.
  forOffer() {
    const fields = Object.fromEntries(this.chosen.map((id) => [OF_SERVER[id], $(id).value]));
    if (fields.faces === "chosen") delete fields.faces;
    if (fields.max_latency_ms) fields.max_latency_ms = Number(fields.max_latency_ms);
    return fields;
  }

  // What the server holds.
  show(state) {
    for (const [id, field] of Object.entries(OF_SERVER)) this.#put(id, String(state[field]));
  }

  // A value that may be none of ours.
  #put(id, value) {
    if (![...$(id).options].some((option) => option.value === value)) $(id).add(new Option(id === "latency" ? `${value} ms` : value, value));
    $(id).value = value;
  }
}
