// The page: what is clicked, what is said, and who is told.

import { Connection, request } from "./connection.js";
import { Edits, presets } from "./edits.js";
import { Numbers } from "./numbers.js";
import { Recorder } from "./recorder.js";
import { Result } from "./result.js";
import { placeIn, Source } from "./source.js";

const STATES = {
  idle: "Not connected", connecting: "Connecting…", live: "Live", noface: "Live, no face in the picture",
  slow: "Live, but overloaded: most pictures are unedited", overloaded: "The server is full; trying again", reconnecting: "Reconnecting…", lost: "Connection lost; trying again", error: "Stopped",
};
const STATS_MS = 500, HOLD_MS = 1000;

const $ = (id) => document.getElementById(id);
const view = $("view");
const numbers = new Numbers($("numbers"));
const result = new Result($("edited"), (number) => {
  if (number !== null) source?.show(number);
});
const edits = new Edits($("edits"), (strengths) => ask("set", { edits: strengths }));

let token = new URLSearchParams(location.hash.slice(1)).get("token") ?? sessionStorage.getItem("dynstream.token");
let config, source, connection, recorder, holding, paused = false, lastStats = performance.now();
if (location.hash) {
  if (token) sessionStorage.setItem("dynstream.token", token);
  history.replaceState(null, "", location.pathname + location.search);
}

function say(state, message) {
  $("status").dataset.state = state;
  $("status-text").textContent = message && state !== "live" ? `${STATES[state]}: ${message}` : STATES[state];
}

const announce = (text) => ($("announce").textContent = text);

async function ask(type, fields) {
  try {
    const reply = await connection.ask(type, fields);
    if (reply.state) show(reply.state);
    return reply;
  } catch (error) {
    announce(error.message);
    return null;
  }
}

function show(state) {
  edits.show(state.edits);
  $("mode").value = state.mode;
  for (const id of ["latency", "faces"]) {
    const value = String(id === "latency" ? state.max_latency_ms : state.faces);
    if (![...$(id).options].some((option) => option.value === value)) $(id).add(new Option(id === "latency" ? `${value} ms` : value, value));
    $(id).value = value;
  }
  paused = state.paused;
  $("pause").setAttribute("aria-pressed", paused);
  $("bypass").setAttribute("aria-pressed", state.bypass);
  $("badge").hidden = !(paused || state.bypass);
  $("badge").textContent = paused ? "Paused" : "Source shown";
}

async function start() {
  if (connection) return stop();
  $("start").disabled = true;
  say("connecting");
  try {
    config = await request("GET", "api/config", token);
    if (config.auth && !token) {
      token = prompt("This server wants a token:")?.trim();
      if (!token) throw new Error("a token is needed");
      sessionStorage.setItem("dynstream.token", token);
      config = await request("GET", "api/config", token);
    }
    source = new Source(config.video, $("source"));
    source.onended = stop;
    const stream = await source.open($("kind").value, $("file").files[0], $("sound").checked);
    delete view.dataset.empty;
    view.style.setProperty("--aspect", source.aspect);
    const wish = edits.values();
    connection = new Connection(config, token, stream, () => ({ edits: edits.inputs.size ? edits.values() : wish, stamp: true }));
    connection.lastFrame = () => result.lastFrame;
    connection.addEventListener("state", ({ detail }) => { say(detail.state, detail.message); enable(detail.state === "live"); });
    connection.addEventListener("track", ({ detail }) => result.take(detail));
    connection.addEventListener("message", ({ detail }) => told(detail));
    connection.addEventListener("hello", ({ detail }) => greeted(detail));
    $("start").textContent = "Stop";
    $("start").disabled = false;
    await connection.run();
  } catch (error) {
    if (error.status === 401) sessionStorage.removeItem("dynstream.token"), (token = null);
    stop();
    say("error", error.name === "NotAllowedError" ? "the browser was not allowed to use the camera" : error.message);
  } finally {
    $("start").disabled = false;
  }
}

function stop() {
  if (recorder) record();
  connection?.close();
  source?.close();
  connection = source = undefined;
  $("start").textContent = "Start";
  enable(false);
  say("idle");
}

function enable(live) {
  for (const id of ["pause", "bypass", "record", "reset", "mode", "latency", "faces", "preset-save"]) $(id).disabled = !live;
}

async function greeted(hello) {
  const wish = edits.inputs.size && edits.values(); // what was moved while there was no connection
  edits.build(hello.edits);
  show(hello.state);
  if (wish) edits.set(wish);
  listPresets(hello.presets ?? []);
  lastStats = performance.now();
  result.numbers(1); // begin to count here
  await ask("stats", { every_ms: STATS_MS });
}

function told(message) {
  if (message.type === "notice") {
    announce(message.message);
    if (message.notice === "no_face") say("noface");
    if (["face", "relieved"].includes(message.notice)) say("live");
    if (message.notice === "overloaded") say("slow");
    if (message.notice === "ended") stop();
    return;
  }
  if (message.type !== "stats") return;
  const seconds = (performance.now() - lastStats) / 1000, own = result.numbers(seconds), frames = message.frames ?? {};
  lastStats = performance.now();
  numbers.add("Shown", own.fps, `${own.fps.toFixed(1)} fps`);
  numbers.add("Age, end to end", own.age_ms?.p50 ?? null, own.age_ms ? `${Math.round(own.age_ms.p50)} ms` : "–", own.age_ms && `p95 ${Math.round(own.age_ms.p95)} ms`);
  numbers.add("Age in the server", message.age_ms?.p50 ?? null, message.age_ms ? `${Math.round(message.age_ms.p50)} ms` : "–", message.age_ms && `p95 ${Math.round(message.age_ms.p95)} ms`);
  numbers.add("Bitrate back", message.bitrate_out, `${((message.bitrate_out ?? 0) / 1e6).toFixed(2)} Mbit/s`);
  numbers.add("Dropped", frames.dropped, `${frames.dropped ?? 0}`);
  numbers.add("Concealed", frames.concealed, `${frames.concealed ?? 0}`);
}

function listPresets(ofServer) {
  const mine = presets.read();
  const item = (name, values, own) => {
    const row = document.createElement("li"), apply = document.createElement("button");
    Object.assign(apply, { type: "button", textContent: name });
    apply.addEventListener("click", () => edits.set(values));
    row.append(apply);
    if (own) {
      const remove = document.createElement("button");
      Object.assign(remove, { type: "button", textContent: "×", ariaLabel: `Remove preset ${name}` });
      remove.addEventListener("click", () => { presets.remove(name); listPresets(ofServer); });
      row.append(remove);
    }
    return row;
  };
  $("presets").replaceChildren(...ofServer.map(({ name, edits: values }) => item(name, values, false)), ...Object.entries(mine).map(([name, values]) => item(name, values, true)));
  $("preset-form").onsubmit = (event) => {
    event.preventDefault();
    presets.save($("preset-name").value.trim(), edits.values());
    $("preset-name").value = "";
    listPresets(ofServer);
  };
}

async function record() {
  if (!recorder) {
    recorder = new Recorder($("edited"), result.sound.srcObject);
  } else {
    const running = recorder;
    recorder = undefined;
    const { name, blob } = await running.stop();
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name, textContent: name });
    $("recordings").append(link, " ");
    link.click();
  }
  $("record").setAttribute("aria-pressed", Boolean(recorder));
  $("record").textContent = recorder ? "Stop recording" : "Record";
}

function hold(on) {
  if (!connection || Boolean(holding) === on) return;
  clearInterval(holding);
  holding = on ? setInterval(() => ask("bypass", { on: true }), HOLD_MS) : undefined;
  ask("bypass", { on });
}

$("start").addEventListener("click", () => ($("kind").value === "file" && !connection && !$("file").files.length ? $("file").click() : start()));
$("file").addEventListener("change", () => $("file").files.length && !connection && start());
$("kind").addEventListener("change", () => { if ($("kind").value === "file") $("file").value = ""; });
$("pause").addEventListener("click", () => ask("pause", { on: !paused }));
$("bypass").addEventListener("pointerdown", () => hold(true));
for (const end of ["pointerup", "pointerleave", "pointercancel"]) $("bypass").addEventListener(end, () => hold(false));
$("record").addEventListener("click", record);
$("reset").addEventListener("click", () => edits.set({}));
$("mode").addEventListener("change", () => ask("mode", { mode: $("mode").value }));
$("latency").addEventListener("change", () => ask("latency", { max_ms: Number($("latency").value) }));
$("faces").addEventListener("change", () => {
  const faces = $("faces").value;
  ask("faces", { faces: Number(faces) || faces });
});
$("layout").addEventListener("change", () => (view.dataset.layout = $("layout").value));
$("divider").addEventListener("input", () => view.style.setProperty("--divide", `${$("divider").value}%`));
view.addEventListener("click", (event) => {
  if (!connection || event.target === $("divider")) return;
  const canvas = event.target.closest(".pane")?.querySelector("canvas");
  const at = canvas && placeIn(canvas.getBoundingClientRect(), canvas.width, canvas.height, event.clientX, event.clientY);
  if (at) ask("faces", { at });
});

const typing = (target) => target.matches("input:not([type=range]):not([type=checkbox]), select, textarea");
addEventListener("keydown", (event) => {
  if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = {
    " ": () => !event.target.matches("button") && $("pause").click(),
    b: () => hold(true), r: () => $("record").click(), 0: () => $("reset").click(),
    v: () => { $("layout").selectedIndex = ($("layout").selectedIndex + 1) % 3; $("layout").dispatchEvent(new Event("change")); },
  }[event.key.toLowerCase()];
  if (!act || (event.repeat && event.key !== "b")) return;
  if (event.key === " " && !event.target.matches("button")) event.preventDefault();
  act();
});
addEventListener("keyup", (event) => event.key.toLowerCase() === "b" && hold(false));
addEventListener("pagehide", () => connection?.close());
window.dynstream = { breakOff: () => connection?.breakOff(), result }; // for tests of the page
