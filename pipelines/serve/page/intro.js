// Before the start: the clip that shows what it does, where the video goes, and whether there is room.

import { $ } from "./dom.js";
import { readConfig } from "./token.js";

const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

export async function beginIntro() {
  const clip = $("sample"), button = $("sample-play");
  button.addEventListener("click", () => (clip.paused ? clip.play() : clip.pause()));
  for (const event of ["play", "pause"]) clip.addEventListener(event, () => (button.textContent = clip.paused ? "Play" : "Pause"));
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) clip.play().catch(() => {}); // it can be played by hand
  const where = LOCAL.includes(location.hostname) ? "stays on this computer, where a server edits it" : `goes to ${location.host}, which edits it and sends it straight back`;
  $("where").textContent = `Your video ${where}.`;
  const config = await readConfig().catch(() => undefined);
  $("room").textContent = roomText(config?.capacity);
  $("room").hidden = !$("room").textContent;
}

// capacity: of the configuration; nothing where there is room or nothing is known.
export function roomText(capacity) {
  if (capacity === null) return "The server is starting; you can begin already.";
  if (!capacity || capacity.free > 0) return "";
  return `All places are taken at the moment: you would be number ${capacity.waiting + 1} in the queue.`;
}
