// The cameras and microphones to choose from.

import { forGood } from "./kept.js";

const SELECTS = { videoinput: ["camera", "Camera"], audioinput: ["microphone", "Microphone"] };

export class Devices {
  // selects: {camera, microphone}. onchoice(): another one was chosen.
  constructor(selects, onchoice) {
    this.selects = selects;
    for (const [name, select] of Object.entries(selects)) {
      select.addEventListener("change", () => { forGood.write(name, select.value); onchoice(); });
    }
    navigator.mediaDevices?.addEventListener("devicechange", () => this.current && this.list(this.current));
  }

  // Ids of what was chosen, here or on an earlier visit.
  get chosen() {
    return { camera: forGood.read("camera"), microphone: forGood.read("microphone") };
  }

  // List what there is; browsers tell the names only after the camera was allowed. current: {camera, microphone} in use.
  async list(current) {
    this.current = current;
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    for (const [kind, [name, label]] of Object.entries(SELECTS)) {
      const found = all.filter((device) => device.kind === kind && device.deviceId), select = this.selects[name];
      select.replaceChildren(...found.map((device, place) => new Option(device.label || `${label} ${place + 1}`, device.deviceId)));
      if (!found.length) select.add(new Option("None found", ""));
      if (found.some(({ deviceId }) => deviceId === current[name])) select.value = current[name];
      select.disabled = !current[name] || found.length < 2;
    }
  }
}
