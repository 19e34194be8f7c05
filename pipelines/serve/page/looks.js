// The looks that the page itself offers, and the little drawn faces of page/looks.webp, one for each.

// In the order of the sheet, row by row. `name`: offered to the user, where the server has all its edits; the others are
// for presets of the server and of the user.
export const LOOKS = [
  { name: "As I am", edits: {} },
  { name: "Smile", edits: { smile: 2 } },
  { name: "Laugh", edits: { smile: 2.5, "mouth-open": 1 } },
  { name: "Serious", edits: { smile: -2 } },
  { name: "Surprised", edits: { brow: 3, "mouth-open": 1, "eyes-closed": -2 } },
  { name: "Sleepy", edits: { "eyes-closed": 2.5 } },
  { name: "Older", edits: { age: 1, grey: 1 } },
  { edits: { blond: 1, black: -2 } },
  { edits: { black: 3 } },
  { name: "Glasses", edits: { glasses: 1 } },
  { edits: { yaw: 1.75 } },
  { edits: { gender: 2, beard: 1 } },
  { edits: { gender: -2 } },
  { edits: { chubby: 2 } },
  { edits: { pitch: 2 } },
  { edits: { pitch: -2 } },
];
export const COLUMNS = 8;
const LEAST_LIKE = 0.4;

export const offered = (known) => LOOKS.filter(({ name, edits }) => name && Object.keys(edits).every((edit) => known.has(edit)));

// The picture of the look whose edits point where these do; the plain face where none does.
export function pictureOf(edits) {
  const likeness = LOOKS.map((look) => cosine(edits, look.edits));
  const best = Math.max(...likeness);
  return best < LEAST_LIKE ? 0 : likeness.indexOf(best);
}

function cosine(one, other) {
  const dot = (a, b) => Object.keys(a).reduce((sum, name) => sum + a[name] * (b[name] ?? 0), 0);
  const length = Math.sqrt(dot(one, one) * dot(other, other));
  return length ? dot(one, other) / length : 0;
}

// Shows a picture of the sheet on an element with the class "face".
export function showPicture(element, number) {
  element.style.setProperty("--column", number % COLUMNS);
  element.style.setProperty("--row", Math.floor(number / COLUMNS));
}
