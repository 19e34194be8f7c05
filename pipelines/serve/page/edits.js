// The strengths of all edits: what the user set, how it is undone, and how the server is told.

const SEND_MS = 100; // at most ten messages a second while a slider is dragged
const MOST_UNDO = 50;

// Events: "list" (the server's edits have come), "change" (a strength has changed).
export class Edits extends EventTarget {
  // tell(strengths): tells the server; resolves to the strengths that it holds now, undefined where it did not hear.
  constructor(tell, wish = {}) {
    super();
    Object.assign(this, { tell, wish, items: new Map(), values: {}, committed: {}, past: [], changed: {}, sending: 0, dragging: false });
  }

  // items: `edits` of docs/protocol.md. held: the strengths that the server holds. What the user wished stays.
  list(items, held) {
    const before = this.items.size ? this.values : this.wish;
    this.items = new Map(items.map((item) => [item.name, item]));
    this.values = this.committed = this.#complete(Object.keys(before).length ? before : held);
    this.dispatchEvent(new Event("list"));
    this.#changed();
    if (this.#differs(this.values, this.#complete(held))) this.#send(this.values);
  }

  get canUndo() {
    return this.past.length > 0;
  }

  // All that is not zero.
  get active() {
    return Object.fromEntries(Object.entries(this.values).filter(([name, value]) => value !== this.items.get(name).default));
  }

  // While a slider is dragged; `commit` makes one step of it that can be undone.
  move(name, strength) {
    this.values = { ...this.values, [name]: strength };
    this.#changed();
    this.#send({ [name]: strength });
  }

  commit() {
    this.dragging = false;
    if (!this.#differs(this.values, this.committed)) return;
    this.past = [...this.past, this.committed].slice(-MOST_UNDO);
    this.committed = this.values;
    this.#changed();
  }

  set(name, strength) {
    this.move(name, strength);
    this.commit();
  }

  reset(name) {
    this.set(name, this.items.get(name).default);
  }

  // A preset, or everything to zero: what is not named goes to zero.
  replace(strengths) {
    this.values = this.#complete(strengths);
    this.commit();
    this.#changed();
    this.#send(this.values);
  }

  undo() {
    if (!this.canUndo) return;
    this.values = this.committed = this.#complete(this.past.at(-1));
    this.past = this.past.slice(0, -1);
    this.#changed();
    this.#send(this.values);
  }

  // What the server has changed at the user's word: one step that can be undone.
  took(held) {
    this.values = this.#complete(held);
    this.commit();
    this.#changed();
  }

  // What the server holds, unless something newer is under way.
  adopt(held) {
    if (this.dragging || this.timer || this.sending) return;
    this.values = this.committed = this.#complete(held);
    this.#changed();
  }

  #complete(strengths) {
    const within = ({ low, high }, value) => Math.max(low, Math.min(high, value));
    return Object.fromEntries([...this.items].map(([name, item]) => [name, within(item, strengths[name] ?? item.default)]));
  }

  #differs(one, other) {
    return [...this.items.keys()].some((name) => Math.abs(one[name] - other[name]) > 1e-6);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  #send(strengths) {
    Object.assign(this.changed, strengths);
    this.timer ??= setTimeout(async () => {
      const changed = this.changed;
      this.timer = undefined;
      this.changed = {};
      this.sending += 1;
      const held = await this.tell(changed).finally(() => (this.sending -= 1));
      if (held) this.adopt(held);
    }, SEND_MS);
  }
}
