// The number in the top rows of a frame by which latency is measured: docs/protocol.md, "Frame stamp".

const BLOCKS = 32;
export const CYCLE = 1 << 24;

export const stampRows = (height) => Math.max(4, Math.floor(height / 45));
export const now = () => Math.floor(performance.now()) % CYCLE;

const check = (number) =>
  ((number >> 16) * 3 + ((number >> 8) & 255) * 5 + (number & 255) * 7 + 0xa5) % 256;

export function writeStamp(context, width, height, number) {
  const side = Math.floor(width / BLOCKS), rows = stampRows(height);
  const bits = number * 256 + check(number); // above 2^31: divided, not shifted
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, rows);
  context.fillStyle = "#fff";
  for (let i = 0; i < BLOCKS; i++) {
    if (Math.floor(bits / 2 ** (BLOCKS - 1 - i)) % 2) context.fillRect(i * side, 0, side, rows);
  }
}

// The number of a picture, null where it has none. `context` is that of a canvas which holds its top rows.
export function readStamp(context, width, height) {
  const side = Math.floor(width / BLOCKS), row = Math.floor(stampRows(height) / 2);
  const { data } = context.getImageData(0, row, width, 1);
  let bits = 0;
  for (let i = 0; i < BLOCKS; i++) {
    const at = 4 * (i * side + Math.floor(side / 2));
    bits = bits * 2 + (data[at] + data[at + 1] + data[at + 2] > 3 * 127 ? 1 : 0);
  }
  const number = Math.floor(bits / 256);
  return bits % 256 === check(number) ? number : null;
}

export const elapsed = (number) => (now() - number + CYCLE) % CYCLE;
