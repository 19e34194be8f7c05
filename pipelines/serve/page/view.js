// The picture on the screen: what is shown of it, full screen, snapshots and recordings, a click on a face.

import { $, download } from "./dom.js";
import { Recorder } from "./recorder.js";
import { snapshot } from "./snapshot.js";
import { placeIn } from "./source.js";

export class View {
  // onface([x, y]): a face was clicked on. said(text, problem): tells the user. isEdited(): whether the picture is.
  constructor(result, { onface, said, isEdited }) {
    Object.assign(this, { result, said, isEdited });
    const view = $("view");
    $("divider").addEventListener("input", () => view.style.setProperty("--divide", `${$("divider").value}%`));
    $("fullscreen").hidden = !document.fullscreenEnabled;
    $("fullscreen").addEventListener("click", () => this.fill());
    $("snapshot").addEventListener("click", () => this.#snap());
    $("record").addEventListener("click", () => this.record(!this.recorder));
    view.addEventListener("click", (event) => {
      const canvas = event.target.closest(".pane")?.querySelector("canvas");
      const at = canvas && placeIn(canvas.getBoundingClientRect(), canvas.width, canvas.height, event.clientX, event.clientY);
      if (at) onface(at);
    });
  }

  fill() {
    const done = document.fullscreenElement ? document.exitFullscreen() : $("view").requestFullscreen?.();
    done?.catch(() => this.said("This browser does not fill the screen here", true));
  }

  async #snap() {
    const { name, blob } = await snapshot($("edited"), this.isEdited());
    download(blob, name);
    this.said(`Saved ${name}`);
  }

  async record(on) {
    if (on === Boolean(this.recorder)) return;
    const { recorder } = this;
    this.recorder = on ? new Recorder($("edited"), this.result.sound.srcObject) : undefined;
    $("record").setAttribute("aria-pressed", on);
    $("record").textContent = on ? "Stop recording" : "Record";
    if (!recorder) return;
    const { name, blob } = await recorder.stop();
    $("recordings").append(download(blob, name), " ");
    this.said(`Saved ${name}`);
  }
}
