// As much of MessagePack as the control channel speaks: null, booleans, numbers, strings, binary, lists, maps.

const encoder = new TextEncoder(), decoder = new TextDecoder();

export function encode(value) {
  const out = [];
  write(out, value);
  return Uint8Array.from(out);
}

function write(out, value) {
  if (value === null || value === undefined) out.push(0xc0);
  else if (typeof value === "boolean") out.push(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") writeNumber(out, value);
  else if (typeof value === "string") {
    const bytes = encoder.encode(value);
    size(out, bytes.length, [[32, 0xa0], [256, 0xd9, 1], [65536, 0xda, 2], [2 ** 32, 0xdb, 4]]);
    for (const byte of bytes) out.push(byte);
  } else if (Array.isArray(value)) {
    size(out, value.length, [[16, 0x90], [65536, 0xdc, 2], [2 ** 32, 0xdd, 4]]);
    for (const item of value) write(out, item);
  } else {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    size(out, entries.length, [[16, 0x80], [65536, 0xde, 2], [2 ** 32, 0xdf, 4]]);
    for (const [name, item] of entries) { write(out, name); write(out, item); }
  }
}

function writeNumber(out, value) {
  if (Number.isInteger(value) && value >= 0 && value < 128) out.push(value);
  else if (Number.isInteger(value) && value >= -2147483648 && value <= 2147483647) { out.push(0xd2); whole(out, value >>> 0, 4); }
  else {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    out.push(0xcb, ...new Uint8Array(view.buffer));
  }
}

function size(out, count, forms) {
  for (const [limit, tag, bytes] of forms) {
    if (count >= limit) continue;
    if (bytes) { out.push(tag); whole(out, count, bytes); } else out.push(tag | count);
    return;
  }
}

function whole(out, value, bytes) {
  for (let i = bytes - 1; i >= 0; i--) out.push(Math.floor(value / 2 ** (8 * i)) % 256);
}

export function decode(buffer) {
  const bytes = new Uint8Array(buffer), view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;

  const count = (width) => {
    const value = width === 1 ? view.getUint8(at) : width === 2 ? view.getUint16(at) : view.getUint32(at);
    at += width;
    return value;
  };
  const part = (length) => {
    if (at + length > bytes.length) throw new RangeError("the message is cut off");
    at += length;
    return bytes.subarray(at - length, at);
  };
  const text = (length) => decoder.decode(part(length));
  const list = (length) => Array.from({ length }, read);
  const map = (length) => Object.fromEntries(Array.from({ length }, () => [read(), read()]));
  const number = (name, width) => { const value = Number(view[name](at)); at += width; return value; };

  const tagged = {
    0xc0: () => null, 0xc2: () => false, 0xc3: () => true,
    0xc4: () => part(count(1)), 0xc5: () => part(count(2)), 0xc6: () => part(count(4)),
    0xca: () => number("getFloat32", 4), 0xcb: () => number("getFloat64", 8),
    0xcc: () => number("getUint8", 1), 0xcd: () => number("getUint16", 2), 0xce: () => number("getUint32", 4), 0xcf: () => number("getBigUint64", 8),
    0xd0: () => number("getInt8", 1), 0xd1: () => number("getInt16", 2), 0xd2: () => number("getInt32", 4), 0xd3: () => number("getBigInt64", 8),
    0xd9: () => text(count(1)), 0xda: () => text(count(2)), 0xdb: () => text(count(4)),
    0xdc: () => list(count(2)), 0xdd: () => list(count(4)), 0xde: () => map(count(2)), 0xdf: () => map(count(4)),
  };

  function read() {
    const tag = count(1);
    if (tag < 0x80) return tag;
    if (tag < 0x90) return map(tag & 15);
    if (tag < 0xa0) return list(tag & 15);
    if (tag < 0xc0) return text(tag & 31);
    if (tag >= 0xe0) return tag - 256;
    if (!tagged[tag]) throw new TypeError(`unknown MessagePack type 0x${tag.toString(16)}`);
    return tagged[tag]();
  }
  return read();
}
