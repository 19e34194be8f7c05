// The page: one visit from the beginning to the end, and who is told of what.

import { Connection } from "./connection.js";
import { Devices } from "./devices.js";
import { $ } from "./dom.js";
import { Edits } from "./edits.js";
import { figures } from "./figures.js";
import { Hold } from "./hold.js";
import { beginIntro } from "./intro.js";
import { forThisTab } from "./kept.js";
import { listenToKeys } from "./keys.js";
import { Rejected } from "./link.js";
import { Numbers } from "./numbers.js";
import { Overlay } from "./overlay.js";
import { Presets } from "./presets.js";
import { Result } from "./result.js";
import { Settings } from "./settings.js";
import { Share } from "./share.js";
import { Sliders } from "./sliders.js";
import { Source } from "./source.js";
import { whyNoSource } from "./states.js";
import { Toast } from "./toast.js";
import { configured, forgetToken, token } from "./token.js";
import { View } from "./view.js";
import { invitation, Watching } from "./watch.js";
import { Words } from "./words.js";

const STATS_MS = 500;
const NOTES = { // what is said over a picture that is seen, the first that holds
  paused: "Paused", bypass: "This is the original", restarting: "The server restarts. This page goes on by itself.",
  noface: "No face found. Look into the camera, with light on your face.", slow: "The server is slow: many pictures are shown unedited.",
};
const NOTICES = { no_face: ["noface", true], face: ["noface", false], overloaded: ["slow", true], relieved: ["slow", false], restarting: ["restarting", true] };

const toast = new Toast($("toasts")), say = (...what) => toast.say(...what);
const numbers = new Numbers($("numbers"));
const overlay = new Overlay(act, cover);
const result = new Result($("edited"), pictureCame);
const edits = new Edits(tellEdits, forThisTab.read("edits", {}));
const presets = new Presets($("presets"), $("preset-form"), edits, say);
const settings = new Settings(chose), devices = new Devices({ camera: $("camera"), microphone: $("microphone") }, changeDevices);
const share = new Share(ask, say);
const view = new View(result, { onface: (at) => connection && ask("faces", { at }), said: say, isEdited: () => !notes.bypass && Object.keys(edits.active).length > 0 });
const hold = new Hold($("bypass"), (on) => ask("bypass", { on }));
new Sliders($("edits"), edits);
new Words($("words"), edits, tellWords);

let config, source, connection, watching, attempt = 0; // a new attempt ends what an older one still waits for
let held, notes = {}, firstPicture = false, counted = {}, lastStats = 0;

async function start() {
  if (source) return;
  const mine = ++attempt, over = () => mine !== attempt;
  document.body.dataset.screen = "stage";
  $("stop").disabled = false;
  scrollTo(0, 0);
  overlay.say("camera");
  try {
    config = await configured();
    if (over()) return;
    source = new Source(config.video, $("source"));
    Object.assign(source, { onended: () => finish("stopped"), onsize: (aspect) => $("view").style.setProperty("--aspect", aspect) });
    source.setQuality(settings.quality);
    const opened = source, stream = await source.open($("kind").value, { file: $("file").files[0], sound: $("sound").checked, devices: devices.chosen });
    if (over()) return opened.close();
    mirror();
    devices.list(source.devices);
    const own = connection = new Connection(config, token(), stream, () => ({ ...settings.forOffer(), edits: wishes(), stamp: true }), () => result.lastFrame);
    connection.bitrate = config.video.max_bitrate * settings.quality.bitrate;
    const heard = { state: (detail) => overlay.say(detail.state, detail), tracks: take, message: told, hello: greeted };
    for (const [name, act] of Object.entries(heard)) own.addEventListener(name, ({ detail }) => own === connection && act(detail)); // not after its end
    await connection.run();
  } catch (error) {
    if (over()) return;
    if (error.status === 401) forgetToken();
    finish(whyNot(error), { message: error.message });
  }
}

function whyNot(error) {
  if (error.status === 403) return "forbidden";
  if (error.name === "cancelled") return "stopped";
  return whyNoSource(error) ?? (error instanceof TypeError ? "unreachable" : "error");
}

function finish(state, detail) {
  attempt += 1;
  view.record(false);
  share.close();
  connection?.close();
  watching?.close();
  source?.close();
  connection = source = watching = undefined;
  $("stop").disabled = true;
  overlay.say(state, detail);
}

// Something else than the picture is shown: nothing of it stays.
function cover() {
  result.clear();
  numbers.clear();
  notes = {};
  enable(false);
  showNotes();
}

function enable(live) {
  for (const control of document.querySelectorAll(".live")) control.disabled = !live;
  if (!live) hold.set(false);
}

const wishes = () => (edits.items.size ? edits.values : edits.wish);

async function tellEdits(changed) {
  try {
    const reply = await connection.ask("set", { edits: changed });
    held = reply.state;
    return held.edits;
  } catch (error) {
    return rejected(error) ? held?.edits : undefined; // unheard, it stays a wish
  }
}

async function tellWords(text) {
  const reply = await connection?.ask("text", { text });
  if (reply) held = reply.state;
  return reply;
}

// A control message; resolves to null where it was refused or not heard.
async function ask(type, fields) {
  try {
    const reply = await connection.ask(type, fields);
    if (reply.state) show(reply.state);
    return reply;
  } catch (error) {
    if (rejected(error) && held) show(held);
    return null;
  }
}

function rejected(error) {
  if (error instanceof Rejected) say(error.message, true);
  return error instanceof Rejected;
}

function show(state) {
  held = state;
  edits.adopt(state.edits);
  settings.show(state);
  Object.assign(notes, { paused: state.paused, bypass: state.bypass });
  $("pause").setAttribute("aria-pressed", state.paused);
  $("share").dataset.on = Boolean(state.shared);
  $("share").textContent = state.shared ? "Shared" : "Share link";
  showNotes();
}

function showNotes() {
  const note = Object.keys(NOTES).find((name) => notes[name]);
  $("badge").hidden = !note;
  $("badge").textContent = note ? NOTES[note] : "";
  $("badge").classList.toggle("warning", ["paused", "bypass"].includes(note));
}

const liveState = () => ["restarting", "noface", "slow"].find((name) => notes[name]) ?? "live";

function take(tracks) {
  for (const track of tracks) result.take(track);
  firstPicture = true;
}

function pictureCame(number) {
  if (number !== null) source?.show(number);
  if (!firstPicture) return;
  firstPicture = false;
  notes.restarting = false;
  overlay.say(watching ? "watching" : liveState());
  showNotes();
  enable(!watching);
}

function greeted(hello) {
  held = hello.state;
  presets.ofServer = hello.presets ?? [];
  edits.list(hello.edits, hello.state.edits);
  show(hello.state);
  if (hello.rate) source.setRate(hello.rate);
  share.connected(hello.session);
  counted = {};
  lastStats = performance.now();
  result.numbers(1); // begin to count here
  ask("stats", { every_ms: STATS_MS });
}

function told(message) {
  if (message.type === "stats") return measured(message);
  if (message.type !== "notice") return;
  if (message.notice === "ended") return finish("ended", message);
  if (message.notice === "rate") return source?.setRate(message.rate);
  if (["ending", "too_large"].includes(message.notice)) say(message.message, true);
  const [note, on] = NOTICES[message.notice] ?? [];
  if (!note) return;
  notes[note] = on;
  showNotes();
  if (!firstPicture && $("overlay").hidden) overlay.say(liveState());
}

function measured(stats) {
  const now = performance.now(), own = result.numbers((now - lastStats) / 1000);
  lastStats = now;
  if ($("overlay").hidden) for (const number of figures(stats, counted, own)) numbers.add(...number);
  counted = stats.frames ?? {};
}

function chose(name, value) {
  if (name === "mode") ask("mode", { mode: value });
  if (name === "latency") ask("latency", { max_ms: Number(value) });
  if (name === "faces") ask("faces", { faces: Number(value) || value });
  if (name === "layout") $("view").dataset.layout = value;
  if (name === "mirror") mirror();
  if (name === "quality" && source) {
    source.setQuality(settings.quality);
    connection?.limitBitrate(config.video.max_bitrate * settings.quality.bitrate);
  }
}

// A camera that looks at its user shows a mirror, unless that is not wanted.
function mirror() {
  if (source) source.mirror = source.kind === "camera" && $("mirror").checked && source.facing !== "environment";
}

async function changeDevices() {
  if (source?.kind !== "camera") return;
  try {
    const sound = await source.use(devices.chosen, $("sound").checked);
    if (sound) await connection?.replaceSound(sound);
    mirror();
  } catch (error) {
    say(`That device cannot be used: ${error.message}`, true);
  }
  if (source) devices.list(source.devices);
}

function act(action) {
  if (action === "file") $("file").click();
  if (["again", "start"].includes(action)) begin();
  if (action === "watch") watch();
  if (action === "back") {
    document.body.dataset.screen = "intro";
    overlay.say("idle");
    $("start").focus();
  }
}

function begin() {
  if ($("kind").value === "file" && !$("file").files.length) $("file").click();
  else start();
}

async function watch() {
  $("stop").disabled = false;
  watching = new Watching(invited, () => result.lastFrame);
  watching.addEventListener("state", ({ detail }) => overlay.say(detail.state));
  watching.addEventListener("tracks", ({ detail }) => take(detail));
  await watching.run();
  watching = undefined;
}

$("start").addEventListener("click", begin);
$("stop").addEventListener("click", () => (invited ? finish("invited") : finish("stopped")));
$("file").addEventListener("change", () => {
  if (!$("file").files.length) return;
  $("kind").value = "file";
  start();
});
$("kind").addEventListener("change", () => ($("file").value = ""));
$("pause").addEventListener("click", () => ask("pause", { on: !held.paused }));
$("reset").addEventListener("click", () => edits.replace({}));
$("undo").addEventListener("click", () => edits.undo());
edits.addEventListener("change", () => {
  forThisTab.write("edits", edits.active);
  $("undo").disabled = !edits.canUndo;
  $("reset").disabled = !Object.keys(edits.active).length;
});
listenToKeys(
  {
    undo: () => edits.undo(), " ": () => $("pause").click(), r: () => $("record").click(), s: () => $("snapshot").click(),
    f: () => view.fill(), 0: () => edits.items.size && edits.replace({}),
    v: () => { $("layout").selectedIndex = ($("layout").selectedIndex + 1) % 3; $("layout").dispatchEvent(new Event("change")); },
  },
  { key: "b", begin: () => hold.set(true), end: () => hold.set(false) },
);
addEventListener("pageshow", (event) => event.persisted && location.reload()); // back again: its connection is gone
addEventListener("pagehide", () => { connection?.away(); watching?.close(); });

const invited = invitation(location.hash);
$("view").dataset.layout = invited ? "edited" : $("layout").value;
if (invited) {
  document.body.dataset.screen = "watch";
  overlay.say("invited");
} else beginIntro();
window.dynstream = { breakOff: () => connection?.breakOff(), connection: () => connection, session: () => connection?.place, edits, result, say }; // for tests
