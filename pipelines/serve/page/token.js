// The server's configuration, and the token that it may want: from the link, from this tab, or asked for.

import { $ } from "./dom.js";
import { forThisTab } from "./kept.js";
import { request } from "./requests.js";

const KEY = "token";
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  forThisTab.write(KEY, given);
  history.replaceState(null, "", location.pathname + location.search); // out of the address bar
}

export const token = () => forThisTab.read(KEY);
export const forgetToken = () => forThisTab.write(KEY, null);
export const readConfig = () => request("GET", "api/config", token());

// Resolves to the configuration; asks for a token where one is wanted. Raises an error named "cancelled".
export async function configured() {
  const config = await readConfig();
  if (!config.auth || token()) return config;
  forThisTab.write(KEY, await askForToken());
  return readConfig();
}

function askForToken() {
  const dialog = $("token-dialog");
  $("token").value = "";
  $("token-cancel").onclick = () => dialog.close("");
  dialog.showModal();
  return new Promise((done, failed) => {
    dialog.onclose = () => {
      const text = dialog.returnValue === "ok" && $("token").value.trim();
      if (text) done(text);
      else failed(Object.assign(new Error("a token is needed"), { name: "cancelled" }));
    };
  });
}
