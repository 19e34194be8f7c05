// Requests to the server over HTTP.

export class Refused extends Error {
  constructor(status, error, retryAfter) {
    super(error?.message ?? `the server answered ${status}`);
    Object.assign(this, { name: "Refused", status, reason: error?.name, queue: error?.queue, retryAfter });
  }
}

// A DELETE is sent even as the page goes. body: an object (JSON), or text (SDP). Resolves to {data, headers}; raises Refused, or TypeError where nothing answers.
export async function send(method, path, token, body) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = typeof body === "string" ? "application/sdp" : "application/json";
  const answer = await fetch(path, { method, headers, keepalive: method === "DELETE", body: body && (typeof body === "string" ? body : JSON.stringify(body)) });
  const text = await answer.text(), json = answer.headers.get("Content-Type")?.startsWith("application/json");
  const data = json ? JSON.parse(text) : text;
  if (!answer.ok) throw new Refused(answer.status, data.error, Number(answer.headers.get("Retry-After")) || undefined);
  return { data, headers: answer.headers };
}

export const request = async (...what) => (await send(...what)).data;
