// Requests to the server over HTTP.

export class Refused extends Error {
  constructor(status, error, retryAfter) {
    super(error?.message ?? `the server answered ${status}`);
    Object.assign(this, { name: "Refused", status, reason: error?.name, queue: error?.queue, retryAfter });
  }
}

// A DELETE is sent even as the page goes. body: an object (JSON), text (SDP) or a Blob. Resolves to {data, headers}; raises Refused, or TypeError where nothing answers.
export async function send(method, path, token, body) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  const file = body instanceof Blob, text = typeof body === "string";
  if (body) headers["Content-Type"] = file ? body.type : text ? "application/sdp" : "application/json";
  const answer = await fetch(path, { method, headers, keepalive: method === "DELETE", body: !body || file || text ? body : JSON.stringify(body) });
  const type = answer.headers.get("Content-Type") ?? "";
  const data = await (type.startsWith("application/json") ? answer.json() : /^(video|application\/c2pa)/.test(type) ? answer.blob() : answer.text());
  if (!answer.ok) throw new Refused(answer.status, data.error, Number(answer.headers.get("Retry-After")) || undefined);
  return { data, headers: answer.headers };
}

export const request = async (...what) => (await send(...what)).data;
