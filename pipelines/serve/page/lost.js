// When a connection counts as lost: it is closed, disconnected for some time, or brings no pictures.

import { wait } from "./link.js";

const TICK = 0.25, DISCONNECTED_SECONDS = 2, FROZEN_SECONDS = 3, FIRST_SECONDS = 10; // the first picture takes longer

// Resolves when it is lost, or over() says so. lastFrame(): when a picture came last, in ms.
export async function untilLost(peer, lastFrame, over) {
  const begun = performance.now();
  for (let disconnected = 0, still = 0, newest = lastFrame(); !over(); await wait(TICK)) {
    if (["failed", "closed"].includes(peer.connectionState)) return;
    const last = lastFrame();
    disconnected = peer.connectionState === "disconnected" ? disconnected + TICK : 0;
    still = document.hidden || last !== newest ? 0 : still + TICK; // in ticks: a page that was held up itself counts one
    newest = last;
    if (disconnected >= DISCONNECTED_SECONDS || still >= (newest > begun ? FROZEN_SECONDS : FIRST_SECONDS)) return;
  }
}
