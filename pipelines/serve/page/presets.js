// The presets to choose from: the page's looks, the server's, and those that this browser keeps.

import { make } from "./dom.js";
import { forGood } from "./kept.js";
import { offered, pictureOf, showPicture } from "./looks.js";

const KEY = "presets";

export class Presets {
  // said(text): tells the user what has happened.
  constructor(place, form, edits, said) {
    Object.assign(this, { place, form, edits, said, ofServer: [] });
    edits.addEventListener("list", () => this.#build());
    edits.addEventListener("change", () => this.#mark());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = form.elements.name.value.trim();
      if (!name) return;
      forGood.write(KEY, { ...this.own, [name]: edits.active });
      form.reset();
      this.#build();
      said(`“${name}” is saved in this browser`);
    });
  }

  get own() {
    return forGood.read(KEY, {});
  }

  #build() {
    const rows = [...offered(this.edits.items), ...this.ofServer].map(({ name, edits }) => this.#row(name, edits));
    const own = Object.entries(this.own).map(([name, edits]) => this.#row(name, edits, true));
    this.rows = [...rows, ...own];
    this.place.replaceChildren(...this.rows.map(({ row }) => row));
    this.#mark();
  }

  #row(name, edits, own) {
    const face = make("span", { className: "face" }), choose = make("button", { type: "button" }, face, make("span", { textContent: name }));
    showPicture(face, pictureOf(edits));
    choose.addEventListener("click", () => this.edits.replace(edits));
    const row = make("li", {}, choose);
    if (own) {
      const remove = make("button", { type: "button", className: "small", textContent: "×", ariaLabel: `Remove ${name}` });
      remove.addEventListener("click", () => {
        const { [name]: _, ...others } = this.own;
        forGood.write(KEY, others);
        this.#build();
        this.form.elements.name.focus();
        this.said(`“${name}” is removed`);
      });
      row.append(remove);
    }
    return { row, choose, edits };
  }

  // The one whose strengths are set is pressed.
  #mark() {
    const { items, values } = this.edits;
    for (const { choose, edits } of this.rows ?? []) {
      const same = [...items].every(([name, item]) => Math.abs(values[name] - (edits[name] ?? item.default)) < 1e-6);
      choose.setAttribute("aria-pressed", same);
    }
  }
}
