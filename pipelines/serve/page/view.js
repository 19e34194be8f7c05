// The picture on the screen: what is shown of it, full screen, snapshots and recordings, a click on a face.

import { $, download } from "./dom.js";
import { Recorder } from "./recorder.js";
import { snapshot } from "./snapshot.js";
import { placeIn } from "./source.js";

export class View {
  // onface([x, y]): a face was clicked on. sign(blob): see Connection. said(text, problem): tells the user. isEdited(): whether the picture is.
  constructor(result, { onface, sign, said, isEdited }) {
    Object.assign(this, { result, sign, said, isEdited });
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

  // sign: of the session that is recorded.
  async record(on, sign = this.sign) {
    if (on === Boolean(this.recorder)) return;
    const { recorder } = this;
    this.recorder = on ? new Recorder($("edited"), this.result.sound.srcObject) : undefined;
    $("record").setAttribute("aria-pressed", on);
    $("record").textContent = on ? "Stop recording" : "Record";
    if (!recorder) return;
    const { name, blob } = await recorder.stop(), signed = await sign(blob).catch(({ message }) => this.said(`Not signed: ${message}`, true));
    const whole = signed?.type === blob.type;
    $("recordings").append(download(whole ? signed : blob, name), " ");
    if (signed && !whole) $("recordings").append(download(signed, `${name}.c2pa`), " ");
    this.said(`Saved ${name}`);
  }
}
