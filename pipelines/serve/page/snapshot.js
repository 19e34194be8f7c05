// One picture as a file, which says whether it is edited.

const COMMENT = "Edited with dynstream. The faces in this picture are edited.";

// Resolves to {name, blob}.
export async function snapshot(canvas, edited) {
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  if (!edited) return { name: `dynstream-${stamp}.jpg`, blob };
  return { name: `dynstream-${stamp}-edited.jpg`, blob: await commented(blob, COMMENT) };
}

// A JPEG with a comment behind its start marker.
export async function commented(jpeg, comment) {
  const text = new TextEncoder().encode(comment), length = text.length + 2;
  return new Blob([jpeg.slice(0, 2), Uint8Array.from([0xff, 0xfe, length >> 8, length & 255, ...text]), jpeg.slice(2)], { type: jpeg.type });
}
