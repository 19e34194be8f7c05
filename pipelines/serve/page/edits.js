// Sliders made from the server's list, and presets kept by this browser.

const PRESETS = "dynstream.presets";
const SEND_MS = 100; // at most ten messages a second while a slider is dragged

export class Edits {
  // onchange(strengths): strengths by name that have changed.
  constructor(place, onchange) {
    this.place = place;
    this.onchange = onchange;
    this.inputs = new Map();
    this.changed = {};
  }

  build(list) {
    const before = this.values(), groups = Map.groupBy ? Map.groupBy(list, (item) => item.group) : group(list);
    this.inputs.clear();
    this.place.replaceChildren(...[...groups].map(([name, items]) => {
      const fields = document.createElement("fieldset"), legend = document.createElement("legend");
      legend.textContent = name;
      fields.append(legend, ...items.map((item) => this.#row(item)));
      return fields;
    }));
    this.show(before);
  }

  values() {
    return Object.fromEntries([...this.inputs].map(([name, { input }]) => [name, Number(input.value)]));
  }

  // Move the sliders to what holds, without telling anybody.
  show(strengths) {
    for (const [name, { input, item, output }] of this.inputs) {
      if (input === document.activeElement && this.dragging) continue;
      input.value = strengths[name] ?? item.default;
      output.textContent = Number(input.value).toFixed(1);
    }
  }

  set(strengths) {
    const all = Object.fromEntries([...this.inputs].map(([name, { item }]) => [name, strengths[name] ?? item.default]));
    this.show(all);
    this.#tell(all);
  }

  #row(item) {
    const label = document.createElement("label"), name = document.createElement("span");
    const output = document.createElement("output"), input = document.createElement("input");
    label.className = "edit";
    label.title = item.about ?? "";
    name.textContent = item.label;
    Object.assign(input, { type: "range", min: item.low, max: item.high, step: item.step, value: item.default, name: item.name, id: `edit-${item.name}` });
    label.htmlFor = input.id;
    output.textContent = Number(item.default).toFixed(1);
    input.addEventListener("input", () => {
      output.textContent = Number(input.value).toFixed(1);
      this.dragging = true;
      this.#tell({ [item.name]: Number(input.value) });
    });
    input.addEventListener("change", () => (this.dragging = false));
    input.addEventListener("dblclick", () => this.set({ ...this.values(), [item.name]: item.default }));
    label.append(name, output, input);
    this.inputs.set(item.name, { input, output, item });
    return label;
  }

  #tell(strengths) {
    Object.assign(this.changed, strengths);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const changed = this.changed;
      this.changed = {};
      this.onchange(changed);
    }, SEND_MS);
  }
}

function group(list) {
  const groups = new Map();
  for (const item of list) groups.set(item.group, [...(groups.get(item.group) ?? []), item]);
  return groups;
}

export const presets = {
  read() {
    try { return JSON.parse(localStorage.getItem(PRESETS)) ?? {}; } catch { return {}; }
  },
  save(name, edits) {
    localStorage.setItem(PRESETS, JSON.stringify({ ...presets.read(), [name]: edits }));
  },
  remove(name) {
    const { [name]: _, ...others } = presets.read();
    localStorage.setItem(PRESETS, JSON.stringify(others));
  },
};
