// Live numbers, each with its last minute as a line.

const KEPT = 120;
const SVG = "http://www.w3.org/2000/svg";

export class Numbers {
  constructor(place) {
    this.place = place;
    this.rows = new Map();
  }

  // value: number or null; text: how it is said; more: what is said smaller.
  add(name, value, text, more) {
    const row = this.rows.get(name) ?? this.#make(name);
    row.text.textContent = text;
    row.more.textContent = more ? ` ${more}` : "";
    if (row.values.push(value ?? 0) > KEPT) row.values.shift();
    const top = Math.max(1e-9, ...row.values), step = 100 / (KEPT - 1);
    const points = row.values.map((y, i) => `${((KEPT - row.values.length + i) * step).toFixed(1)},${(25 - (24 * y) / top).toFixed(1)}`);
    row.line.setAttribute("points", points.join(" "));
  }

  // Nothing old stays: the names alone.
  clear() {
    for (const row of this.rows.values()) {
      row.text.textContent = "–";
      row.more.textContent = "";
      row.values = [];
      row.line.setAttribute("points", "");
    }
  }

  #make(name) {
    const box = document.createElement("div"), term = document.createElement("dt"), text = document.createElement("dd");
    const chart = document.createElementNS(SVG, "svg"), line = document.createElementNS(SVG, "polyline");
    chart.setAttribute("viewBox", "0 0 100 26");
    chart.setAttribute("preserveAspectRatio", "none");
    chart.setAttribute("aria-hidden", "true");
    const value = document.createElement("span"), more = document.createElement("small");
    text.append(value, more);
    term.textContent = name;
    chart.append(line);
    box.append(term, text, chart);
    this.place.append(box);
    const row = { text: value, more, line, values: [] };
    this.rows.set(name, row);
    return row;
  }
}
