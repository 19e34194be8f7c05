// What the server's stats and our own counts say, in words that people know.

const milliseconds = (age) => (age ? `${Math.round(age.p50)} ms` : "–");
const atWorst = (age) => age && `${Math.round(age.p95)} ms at worst`;
const share = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} %` : "–");

// stats: the message of docs/protocol.md; before: `frames` of the one before; own: of Result.
// Returns [name, value for the line, text, smaller text] of each number.
export function figures(stats, before, own) {
  const frames = stats.frames ?? {}, since = (name) => Math.max(0, (frames[name] ?? 0) - (before[name] ?? 0));
  const edited = since("edited") + since("faded"), wanted = edited + since("passed"); // of the others no edit was asked
  const [why] = Object.entries(stats.passed_why ?? {}).sort((one, other) => other[1] - one[1]);
  return [
    ["Pictures a second", own.fps, own.fps.toFixed(1), stats.rate && `of ${Math.round(stats.rate)}`],
    ["Delay that you see", own.age_ms?.p50 ?? null, milliseconds(own.age_ms), atWorst(own.age_ms)],
    ["Delay in the server", stats.age_ms?.p50 ?? null, milliseconds(stats.age_ms), atWorst(stats.age_ms)],
    ["Edited in time", wanted ? edited / wanted : null, share(edited, wanted), wanted ? "of the pictures" : "no edit is set"],
    ["Shown unedited", since("passed"), `${frames.passed ?? 0}`, why && `mostly: ${why[0]}`],
    ["Left out", since("dropped"), `${frames.dropped ?? 0}`, "pictures"],
    ["Data received", stats.bitrate_out ?? null, `${((stats.bitrate_out ?? 0) / 1e6).toFixed(2)} Mbit/s`],
    ["Way to the server", stats.round_trip_ms ?? null, stats.round_trip_ms == null ? "–" : `${Math.round(stats.round_trip_ms)} ms`, stats.lost ? `${share(stats.lost, 1)} lost` : "and back"],
  ];
}
