// The keys of the page, where the focus is on nothing that takes them itself.

const TAKEN = "input:not([type=range], [type=checkbox]), select, textarea, dialog *";

// press: key -> what it does; hold: {key, begin, end}.
export function listenToKeys(press, hold) {
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !event.target.matches(TAKEN)) {
      event.preventDefault();
      return press.undo();
    }
    if (event.target.matches(TAKEN) || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === hold.key) return hold.begin();
    if (key === " " && event.target.matches("button, summary, a, [type=checkbox]")) return; // it presses that
    if (event.repeat || !press[key] || document.body.dataset.screen !== "stage") return;
    event.preventDefault();
    press[key]();
  });
  addEventListener("keyup", (event) => event.key.toLowerCase() === hold.key && hold.end());
  addEventListener("blur", () => hold.end());
}
