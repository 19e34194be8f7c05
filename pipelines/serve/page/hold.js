// A button that does something while it is held: by finger, mouse, Enter, Space, or a key of the page.

const REPEAT_MS = 1000; // the server ends it by itself 3 s after the last message

export class Hold {
  // tell(on): repeated while it is held.
  constructor(button, tell) {
    Object.assign(this, { button, tell });
    const keys = [" ", "Enter"];
    button.addEventListener("pointerdown", (event) => { this.by = "pointer"; button.setPointerCapture?.(event.pointerId); this.set(true); });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(end, () => this.set(false));
    button.addEventListener("keydown", (event) => {
      if (!keys.includes(event.key)) return;
      event.preventDefault(); // no click
      this.by = "key";
      this.set(true);
    });
    button.addEventListener("keyup", (event) => keys.includes(event.key) && this.set(false));
    button.addEventListener("blur", () => this.set(false));
    button.addEventListener("click", (event) => {
      if (!event.detail && !this.by) this.set(!this.on); // a screen reader's click has no end: the next one ends it
      this.by = undefined;
    });
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
  }

  set(on) {
    if (this.button.disabled) on = false;
    if (Boolean(this.on) === on) return;
    this.on = on;
    this.button.setAttribute("aria-pressed", on);
    clearInterval(this.timer);
    if (on) this.timer = setInterval(() => this.tell(true), REPEAT_MS);
    this.tell(on);
  }
}
