// What this browser keeps: choices and own presets for good, edits and the token for this tab.

const PREFIX = "dynstream.";

class Kept {
  constructor(storage) {
    this.storage = storage; // called each time: a browser that refuses storage throws on access
  }

  read(name, otherwise) {
    try {
      return JSON.parse(this.storage().getItem(PREFIX + name)) ?? otherwise;
    } catch {
      return otherwise;
    }
  }

  write(name, value) {
    try {
      if (value === null || value === undefined) this.storage().removeItem(PREFIX + name);
      else this.storage().setItem(PREFIX + name, JSON.stringify(value));
    } catch { /* a private window: nothing is kept */ }
  }
}

export const forGood = new Kept(() => localStorage);
export const forThisTab = new Kept(() => sessionStorage);
