// Where a strength lies on its slider. Zero is in the middle of each, whatever the range: each side has its own scale.

export const FULL = 100; // positions go from -FULL to FULL
const SNAP = 4; // positions beside zero that count as zero, for fingers

export function toPosition({ low, high, default: zero }, strength) {
  const side = strength < zero ? zero - low : high - zero;
  return side > 0 ? Math.max(-FULL, Math.min(FULL, (FULL * (strength - zero)) / side)) : 0;
}

// The strength at a position, in whole steps.
export function toStrength(item, position) {
  if (Math.abs(position) < SNAP) return item.default;
  const side = position < 0 ? item.default - item.low : item.high - item.default;
  return toStep(item, item.default + (side * position) / FULL);
}

// The nearest whole step within the range.
export function toStep({ low, high, step }, strength) {
  const whole = Math.round(strength / step) * step;
  return Number(Math.max(low, Math.min(high, whole)).toFixed(4));
}

// A strength for people: "+1.8", "0", "−0.5".
export function strengthText(strength) {
  if (!strength) return "0";
  return `${strength < 0 ? "−" : "+"}${Math.abs(strength).toFixed(1)}`;
}

// What a key does to a slider: the new strength, or undefined for a key that does nothing.
export function afterKey(item, strength, key) {
  const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 5, PageDown: -5 }[key];
  if (steps) return toStep(item, strength + steps * item.step);
  return { Home: item.low, End: item.high, 0: item.default, Delete: item.default, Backspace: item.default }[key];
}
