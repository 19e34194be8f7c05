// Everything that the page can be in: its lamp, its words, and what covers the picture meanwhile.
//
// lamp: good, wait, bad or off. text: in the header. title, body: over the picture, which they cover; without a title the
// picture is seen. actions: buttons over the picture. busy: something is under way that needs no click.

const inQueue = ({ place }) => (place ? `You are number ${place} in the queue.` : "Others have all the places.");
const retry = "again", start = "start", file = "file", back = "back";

export const STATES = {
  idle: { lamp: "off", text: "Ready to start" },
  camera: { lamp: "wait", text: "Starting the camera", title: "Starting the camera…", body: "Your browser may ask whether this page may use it.", busy: true },
  connecting: { lamp: "wait", text: "Connecting", title: "Connecting…", busy: true },
  waiting: { lamp: "wait", text: "Connected", title: "Waiting for the first picture…", busy: true },
  live: { lamp: "good", text: "Live" },
  noface: { lamp: "wait", text: "Live, no face found" },
  slow: { lamp: "wait", text: "Live, the server is slow" },
  restarting: { lamp: "wait", text: "Live, the server restarts" },
  starting: { lamp: "wait", text: "The server is starting", title: "The server is starting", body: "It gets its networks ready, which takes a minute or two. This page goes on by itself.", busy: true },
  queue: { lamp: "wait", text: "The server is full", title: "The server is full", body: (detail) => `${inQueue(detail)} Stay here: it begins by itself as soon as there is room.`, busy: true },
  away: { lamp: "wait", text: "The server restarts", title: "The server restarts", body: "Your edits are kept. This page comes back by itself.", busy: true },
  lost: { lamp: "bad", text: "Connection lost", title: "The connection was lost", body: "Your edits are kept. Trying again…", busy: true },
  noway: { lamp: "bad", text: "No connection", title: "No connection came about", body: ({ message }) => `${sentence(message) || "The server does not answer."} Trying again…`, busy: true },
  returning: { lamp: "wait", text: "Coming back", title: "Coming back…", body: "Your edits are kept.", busy: true },
  stopped: { lamp: "off", text: "Stopped", title: "Stopped", body: "Camera and microphone are off. Your edits are kept.", actions: [start, back] },
  ended: { lamp: "off", text: "Ended", title: "The server ended this session", body: ({ message }) => sentence(message), actions: [start, back] },
  refused: { lamp: "bad", text: "The camera is not allowed", title: "This page may not use the camera", body: "Click the camera sign beside the address, allow it, and try again. Nothing is sent before you do.", actions: [retry, file, back] },
  nocamera: { lamp: "bad", text: "No camera found", title: "No camera was found", body: "Plug one in and try again, or use a video file.", actions: [retry, file, back] },
  inuse: { lamp: "bad", text: "The camera is in use", title: "The camera gives no picture", body: "Another program may be using it. Close that one, and try again.", actions: [retry, file, back] },
  insecure: { lamp: "bad", text: "No camera on this address", title: "Browsers give the camera to safe addresses only", body: "Open this page over https://, or as http://localhost on the machine of the server. A video file works here, too.", actions: [file, back] },
  unreachable: { lamp: "bad", text: "No answer", title: "The server does not answer", body: "It may be off, or your network may be. Try again in a moment.", actions: [retry, back] },
  forbidden: { lamp: "bad", text: "Not allowed", title: "This link does not allow editing", body: "Ask the people who run this server for another one.", actions: [back] },
  error: { lamp: "bad", text: "Stopped", title: "That did not work", body: ({ message }) => sentence(message), actions: [retry, back] },
  invited: { lamp: "off", text: "Ready to watch", title: "Somebody shows you their picture", body: "It is edited while it plays. Only they can be seen and heard, not you.", actions: ["watch"] },
  watching: { lamp: "good", text: "Watching" },
  unshared: { lamp: "off", text: "Not shared", title: "This picture is not shared any more", body: "Whoever sent you the link has stopped, or has taken it back.", actions: ["watch"] },
  fullhouse: { lamp: "wait", text: "No room", title: "Too many are watching", body: "Trying again…", busy: true },
};

export const ACTIONS = { again: "Try again", start: "Start again", file: "Use a video file", back: "Back to the beginning", watch: "Watch" };

const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".") : "");

// The state of a source that could not be opened.
export function whyNoSource(error) {
  const named = { NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "nocamera", OverconstrainedError: "nocamera", NotReadableError: "inuse", AbortError: "inuse", InsecureError: "insecure" };
  return named[error.name];
}
