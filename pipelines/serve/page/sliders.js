// One slider for each edit, in the server's groups: filled from zero, with a reset of its own.

import { make } from "./dom.js";
import { afterKey, FULL, strengthText, toPosition, toStrength } from "./scale.js";

export class Sliders {
  constructor(place, edits) {
    this.place = place;
    this.edits = edits;
    this.rows = new Map();
    edits.addEventListener("list", () => this.#build());
    edits.addEventListener("change", () => this.#show());
  }

  #build() {
    const groups = new Map();
    for (const item of this.edits.items.values()) groups.set(item.group, [...(groups.get(item.group) ?? []), item]);
    this.rows.clear();
    this.place.replaceChildren(...[...groups].map(([name, items]) =>
      make("fieldset", {}, make("legend", { textContent: name }), ...items.map((item) => this.#row(item)))));
  }

  #row(item) {
    const { edits } = this, id = `edit-${item.name}`;
    const input = make("input", { type: "range", id, name: item.name, min: -FULL, max: FULL, step: "any" });
    const output = make("output", { htmlFor: id });
    const reset = make("button", { type: "button", className: "small", textContent: "↺", title: `Reset ${item.label}`, ariaLabel: `Reset ${item.label}` });
    input.addEventListener("input", () => { edits.dragging = true; edits.move(item.name, toStrength(item, Number(input.value))); });
    input.addEventListener("change", () => edits.commit());
    input.addEventListener("dblclick", () => edits.reset(item.name));
    input.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const strength = afterKey(item, edits.values[item.name], event.key);
      if (strength === undefined) return;
      event.preventDefault();
      event.stopPropagation(); // 0 resets this one, not all of them
      edits.set(item.name, strength);
    });
    reset.addEventListener("click", () => { edits.reset(item.name); input.focus(); });
    this.rows.set(item.name, { item, input, output, reset });
    const row = make("div", { className: "edit", title: item.about ?? "" }, make("label", { htmlFor: id, textContent: item.label }), output, reset, input);
    row.classList.toggle("one-sided", item.low === item.default);
    return row;
  }

  #show() {
    for (const [name, { item, input, output, reset }] of this.rows) {
      const strength = this.edits.values[name], position = toPosition(item, strength);
      input.value = position;
      input.ariaValueText = output.textContent = strengthText(strength);
      input.style.setProperty("--from", Math.min(0, position) / (2 * FULL) + 0.5);
      input.style.setProperty("--to", Math.max(0, position) / (2 * FULL) + 0.5);
      reset.style.visibility = strength === item.default ? "hidden" : "";
    }
  }
}
